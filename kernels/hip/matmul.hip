#include <algorithm>
#include <array>
#include <string>
#include <tuple>

#include "kernels/hip/batch_matmul.h"
#include "kernels/hip/hip_ops.h"
#include "kernels/hip/matmul.h"
#include "kernels/hip/matvec.h"
#include "kernels/hip/weight_layout.h"

namespace forge {
namespace {

template <typename Format>
constexpr bool NeedsDigits() {
  if constexpr (RowLayout<Format>::kIsFloat) return false;
  if constexpr (!RowLayout<Format>::kIsFloat) return RowLayout<Format>::kDigits == 2;
}

template <typename Format>
constexpr auto FindBatchLauncher() -> Status (*)(MatvecArgs, HipStream&) {
  if constexpr (RowLayout<Format>::kIsFloat) return nullptr;
  if constexpr (!RowLayout<Format>::kIsFloat) return LaunchBatchMatmul<Format>;
}

template <typename... Format>
std::array<MatvecFormat, sizeof...(Format)> MakeFormats(const std::tuple<Format...>*) {
  return {MatvecFormat{Format::kDType, RowLayout<Format>::kIsFloat, NeedsDigits<Format>(),
                       LaunchMatvec<Format>, FindBatchLauncher<Format>()}...};
}

// The targets of one format, from number `first` on; `done` marks those that have had their turn.
Status MultiplyFormat(const MatmulArgs& args, size_t first, std::array<bool, 3>& done,
                      const QuantizedActivations& quantized, HipStream& stream) {
  const WeightShape& shape = args.targets[first].weight.shape;
  MatvecArgs matvec;
  matvec.x = args.x;
  matvec.quantized = quantized;
  matvec.n_cols = shape.n_cols;
  matvec.n_tokens = args.n_tokens;
  for (size_t i = first; i < static_cast<size_t>(args.n_targets); ++i) {
    const MatmulTarget& target = args.targets[i];
    if (target.weight.shape.dtype != shape.dtype) continue;
    done[i] = true;
    MatvecTarget& out = matvec.targets[matvec.n_targets++];
    out.weights = static_cast<const std::byte*>(target.weight.data);
    out.bias = target.bias;
    out.residual = target.residual;
    out.y = target.y;
    out.n_rows = target.weight.shape.n_rows;
  }
  const MatvecFormat& format = FindMatvecFormat(shape.dtype);
  if (args.n_tokens >= kMinBatchTokens && format.launch_batch != nullptr)
    return format.launch_batch(matvec, stream);
  return format.launch(matvec, TileTokens(args.n_tokens), stream);
}

}  // namespace

const MatvecFormat& FindMatvecFormat(DType dtype) {
  static const auto kFormats = MakeFormats(static_cast<const Formats*>(nullptr));
  return *std::find_if(kFormats.begin(), kFormats.end(),
                       [dtype](const MatvecFormat& format) { return format.dtype == dtype; });
}

uint64_t HipMatmulWorkspaceBytes(int max_tokens, int64_t max_cols) {
  return QuantizedActivationBytes(max_tokens, max_cols);
}

Status HipMatmul(const MatmulArgs& args, Stream& stream) {
  FORGE_TRY(Validate(args));
  if (args.n_tokens == 0) return Status();
  HipStream& hip = AsHip(stream);
  const int64_t n_in = args.targets[0].weight.shape.n_cols;
  bool needs_quantized = false, needs_digits = false;
  for (int i = 0; i < args.n_targets; ++i) {
    const MatvecFormat& format =
        FindMatvecFormat(args.targets[static_cast<size_t>(i)].weight.shape.dtype);
    needs_quantized |= !format.is_float;
    needs_digits |= format.needs_digits;
  }
  QuantizedActivations quantized;
  if (needs_quantized) {
    const uint64_t needed = HipMatmulWorkspaceBytes(args.n_tokens, n_in);
    if (args.workspace.data == nullptr || args.workspace.bytes < needed)
      return InvalidArgument("matmul: the workspace is too small: needed " +
                             std::to_string(needed) + " bytes, given " +
                             std::to_string(args.workspace.bytes));
    quantized = PlaceQuantizedActivations(args.workspace.data, args.n_tokens, n_in);
    FORGE_TRY(QuantizeActivations(args.x, args.n_tokens, n_in, needs_digits, quantized, hip));
  }
  std::array<bool, 3> done = {};
  for (size_t i = 0; i < static_cast<size_t>(args.n_targets); ++i)
    if (!done[i]) FORGE_TRY(MultiplyFormat(args, i, done, quantized, hip));
  return Status();
}

}  // namespace forge
