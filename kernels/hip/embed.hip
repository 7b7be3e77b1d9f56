#include <array>
#include <tuple>

#include "kernels/hip/embed.h"
#include "kernels/hip/launch.h"
#include "kernels/hip/weight_reader.h"

namespace forge {
namespace {

constexpr int kThreads = 128;

template <typename Format>
FORGE_DEVICE void ExpandPart(const std::byte* row, int64_t n_cols, int64_t index, float factor,
                             float* y) {
  using Layout = RowLayout<Format>;
  if constexpr (Layout::kIsFloat) {
    y[index] = factor * WeightToFloat(LoadAs<typename Layout::Element>(
                            row + index * static_cast<int64_t>(sizeof(typename Layout::Element))));
  } else {
    WeightPart part;
    LoadWeightPart<Format>(row, n_cols / 32, index, part);
    FORGE_UNROLL
    for (int q = 0; q < 8; ++q) {
      const int h = Layout::kScales == 2 ? q / 4 : 0;
      FORGE_UNROLL
      for (int i = 0; i < 4; ++i) {
        const int code = static_cast<int8_t>(part.codes[q] >> (8 * i)) - Layout::kZero;
        float value = part.scales[h] * static_cast<float>(code);
        if constexpr (Layout::kHasOffsets) value += part.offsets[h];
        y[32 * index + 4 * q + i] = factor * value;
      }
    }
  }
}

// One block for each token.
template <typename Format>
__global__ void __launch_bounds__(kThreads)
    EmbedKernel(const std::byte* __restrict__ table, int64_t n_rows, int64_t n_cols,
                const int32_t* __restrict__ tokens, float scale, float* __restrict__ y) {
  const int64_t token = tokens[blockIdx.x];
  float* out = y + blockIdx.x * n_cols;
  const int thread = static_cast<int>(threadIdx.x);
  if (token < 0 || token >= n_rows) {
    for (int64_t k = thread; k < n_cols; k += kThreads) out[k] = NAN;
    return;
  }
  const std::byte* row = table + token * PackedRowBytes<Format>(n_cols);
  const int64_t n_items = RowLayout<Format>::kIsFloat ? n_cols : n_cols / 32;
  for (int64_t i = thread; i < n_items; i += kThreads)
    ExpandPart<Format>(row, n_cols, i, scale, out);
}

template <typename Format>
Status Launch(const EmbedArgs& args, HipStream& stream) {
  const WeightShape& shape = args.table.shape;
  return LaunchKernel("embed", EmbedKernel<Format>,
                      {.grid = static_cast<unsigned>(args.n_tokens), .block = kThreads}, stream,
                      static_cast<const std::byte*>(args.table.data), shape.n_rows, shape.n_cols,
                      args.tokens, args.scale, args.y);
}

template <typename... Format>
Status LaunchByFormat(const EmbedArgs& args, HipStream& stream, const std::tuple<Format...>*) {
  Status status;
  ((args.table.shape.dtype == Format::kDType ? void(status = Launch<Format>(args, stream))
                                             : void()),
   ...);
  return status;
}

}  // namespace

Status HipEmbed(const EmbedArgs& args, Stream& stream) {
  FORGE_TRY(Validate(args));
  if (args.n_tokens == 0) return Status();
  return LaunchByFormat(args, AsHip(stream), static_cast<const Formats*>(nullptr));
}

}  // namespace forge
