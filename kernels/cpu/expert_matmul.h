#pragma once

#include <cstdint>

#include "kernels/api/expert_matmul.h"
#include "kernels/api/stream.h"

namespace forge {

// Bytes that ExpertMatmulArgs::workspace needs for up to max_pairs pairs of activations with up to
// max_cols columns, and up to max_experts experts; 0 if one of them is not positive.
uint64_t CpuExpertMatmulWorkspaceBytes(int max_pairs, int64_t max_cols, int max_experts);

// Besides Validate: kInvalidArgument for an expert out of range, a stride that cuts into a matrix
// and a workspace that is too small.
//
// Pairs are sorted by expert; each expert's are cut into tiles of tokens as a plain matmul's are,
// and all (expert, row group) products of all targets are spread over the threads at once, so that
// a single token with few experts keeps them busy too. A pair's result is that of CpuMatmul with
// its expert's matrix, to the bit, whatever else is in the step.
Status CpuExpertMatmul(const ExpertMatmulArgs& args, Stream& stream);

}  // namespace forge
