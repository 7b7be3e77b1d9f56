#pragma once

#include "kernels/api/matmul.h"
#include "kernels/api/stream.h"

namespace forge {

// Besides Validate: kInvalidArgument for a workspace below HipMatmulWorkspaceBytes where a weight
// is quantised.
Status HipMatmul(const MatmulArgs& args, Stream& stream);

}  // namespace forge
