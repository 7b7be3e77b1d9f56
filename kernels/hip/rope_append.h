#pragma once

#include "kernels/api/rope_append.h"
#include "kernels/api/stream.h"

namespace forge {

// A token whose position or block is not in the cache is left out.
Status HipRopeAppend(const RopeAppendArgs& args, Stream& stream);

}  // namespace forge
