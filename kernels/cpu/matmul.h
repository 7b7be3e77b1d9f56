#pragma once

#include <cstdint>

#include "kernels/api/embed.h"
#include "kernels/api/matmul.h"
#include "kernels/api/stream.h"

namespace forge {

// Bytes that MatmulArgs::workspace needs for up to max_tokens x max_cols activations; 0 if either
// is not positive.
uint64_t CpuMatmulWorkspaceBytes(int max_tokens, int64_t max_cols);

// The CPU device's matmul and embed, with the stream's threads and instruction set; see
// kernels/api/op_table.h. The result for a token is the same bits whatever the other tokens of the
// batch and the number of threads. kInvalidArgument for bad shapes, a token outside the vocabulary
// or a workspace that is too small.
Status CpuMatmul(const MatmulArgs& args, Stream& stream);
Status CpuEmbed(const EmbedArgs& args, Stream& stream);

}  // namespace forge
