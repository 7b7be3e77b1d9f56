#pragma once

#include "kernels/api/combine_experts.h"
#include "kernels/api/stream.h"

namespace forge {

// See CombineExpertsArgs.
Status HipCombineExperts(const CombineExpertsArgs& args, Stream& stream);

}  // namespace forge
