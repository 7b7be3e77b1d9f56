#include "kernels/reference/embed.h"

#include "kernels/base/check.h"

namespace forge {

void ReferenceEmbed(DType dtype, const std::byte* file_rows, int64_t dim, const int32_t* tokens,
                    int n_tokens, float* y) {
  const FormatInfo* format = FindFormat(dtype);
  FORGE_CHECK(format != nullptr && dim % format->block_elements == 0, "not whole blocks");
  const int64_t n_blocks = dim / format->block_elements;
  for (int64_t t = 0; t < n_tokens; ++t)
    format->dequantize(file_rows + tokens[t] * n_blocks * format->block_bytes,
                       static_cast<uint64_t>(n_blocks), y + t * dim);
}

}  // namespace forge
