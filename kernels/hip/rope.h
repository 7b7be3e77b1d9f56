#pragma once

#include "kernels/api/rope.h"
#include "kernels/api/stream.h"

namespace forge {

// A token's bits do not depend on the batch.
Status HipRope(const RopeArgs& args, Stream& stream);

}  // namespace forge
