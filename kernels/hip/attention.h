#pragma once

#include "kernels/api/attention.h"
#include "kernels/api/stream.h"

namespace forge {

// Besides Validate: kInvalidArgument for a workspace below HipAttentionWorkspaceBytes. Positions
// whose block is not in the cache give NaN.
Status HipAttention(const AttentionArgs& args, Stream& stream);

}  // namespace forge
