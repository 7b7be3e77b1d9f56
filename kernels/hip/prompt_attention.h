#pragma once

#include "kernels/hip/attention_kernel.h"

namespace forge {

// Attention of prompts on the matrix units, for caches of F16 and Bf16. Keys and values go there as
// they are; queries and weights stay float32 to their last bits, as the sum of pieces of the
// cache's type (half_pieces.h).

constexpr int kPromptRows = 32;  // query rows of a block

// Whether LaunchPromptAttention takes it.
bool CanAttendPrompt(const AttentionArgs& args, const HipStream& stream);

// REQUIRES: CanAttendPrompt; the launch has one split and tiles of kPromptRows rows at most.
Status LaunchPromptAttention(const AttentionLaunch& launch, HipStream& stream);

}  // namespace forge
