#pragma once

#include "kernels/api/expert_matmul.h"
#include "kernels/api/stream.h"

namespace forge {

// Besides Validate: kInvalidArgument for experts that overlap and for a workspace below
// HipExpertMatmulWorkspaceBytes. A pair whose expert there is not gets NaN.
Status HipExpertMatmul(const ExpertMatmulArgs& args, Stream& stream);

}  // namespace forge
