#pragma once

#include "kernels/api/kv_append.h"
#include "kernels/api/stream.h"

namespace forge {

// A token whose position or block is not in the cache is left out.
Status HipKvAppend(const KvAppendArgs& args, Stream& stream);

}  // namespace forge
