#include <string>
#include <tuple>

#include "kernels/cpu/cpu_stream.h"
#include "kernels/cpu/matmul.h"
#include "kernels/cpu/pack_read.h"

namespace forge {
namespace {

using RowReader = void (*)(const std::byte* matrix, int64_t row, int64_t n_cols, float* y);

template <typename Format>
void ReadRow(const std::byte* matrix, int64_t row, int64_t n_cols, float* y) {
  using Layout = PackLayout<Format>;
  const std::byte* group = matrix + row / kCpuPackRows * PackedGroupBytes<Format>(n_cols);
  const auto* block = reinterpret_cast<const typename Layout::Block*>(group);
  const int lane = static_cast<int>(row % kCpuPackRows);
  for (int64_t k = 0; k < n_cols; k += Layout::kColumns, ++block)
    DequantizePackedRow<Layout>(*block, lane, y + k);
}

template <typename... Format>
RowReader FindReader(DType dtype, const std::tuple<Format...>*) {
  RowReader reader = nullptr;
  ((dtype == Format::kDType ? void(reader = ReadRow<Format>) : void()), ...);
  return reader;
}

}  // namespace

Status CpuEmbed(const EmbedArgs& args, Stream& stream) {
  FORGE_TRY(Validate(args));
  if (args.n_tokens == 0) return Status();
  const WeightShape& shape = args.table.shape;
  for (int t = 0; t < args.n_tokens; ++t) {
    if (args.tokens[t] >= 0 && args.tokens[t] < shape.n_rows) continue;
    return InvalidArgument("embed: token " + std::to_string(args.tokens[t]) +
                           " is outside the vocabulary of " + std::to_string(shape.n_rows));
  }
  const RowReader read = FindReader(shape.dtype, static_cast<const Formats*>(nullptr));
  const auto* matrix = static_cast<const std::byte*>(args.table.data);
  AsCpu(stream).pool().ParallelFor(args.n_tokens, [&](int64_t token, int) {
    float* y = args.y + token * shape.n_cols;
    read(matrix, args.tokens[token], shape.n_cols, y);
    if (args.scale == 1.0f) return;
    for (int64_t k = 0; k < shape.n_cols; ++k) y[k] *= args.scale;
  });
  return Status();
}

}  // namespace forge
