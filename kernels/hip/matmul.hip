#include <algorithm>
#include <array>
#include <string>
#include <tuple>

#include "kernels/hip/batch_matmul.h"
#include "kernels/hip/gated_activation.h"
#include "kernels/hip/hip_ops.h"
#include "kernels/hip/matmul.h"
#include "kernels/hip/matvec.h"
#include "kernels/hip/rms_norm.h"
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
  if constexpr (std::is_same_v<Format, F32Format>) return nullptr;
  if constexpr (!std::is_same_v<Format, F32Format>) return LaunchBatchMatmul<Format>;
}

template <typename... Format>
std::array<MatvecFormat, sizeof...(Format)> MakeFormats(const std::tuple<Format...>*) {
  return {MatvecFormat{Format::kDType, RowLayout<Format>::kIsFloat, NeedsDigits<Format>(),
                       LaunchMatvec<Format>, FindBatchLauncher<Format>()}...};
}

// The activations as the products take them, normalised first if they are to be: on the way to
// rounded ones, or into the scratch for the sake of those that take floats.
Status PrepareActivations(const MatmulArgs& args, HipStream& stream, MatvecArgs& matvec) {
  ActivationNeeds needs;
  for (size_t i = 0; i < static_cast<size_t>(args.n_targets); ++i)
    needs.Add(FindMatvecFormat(args.targets[i].weight.shape.dtype));
  const int64_t n_in = args.targets[0].weight.shape.n_cols;
  InputNorm norm = args.norm;
  matvec.x = args.x;
  matvec.n_cols = n_in;
  matvec.n_tokens = args.n_tokens;
  if (norm.weight != nullptr && needs.floats) {
    FORGE_TRY(HipRmsNorm({.x = args.x,
                          .weight = norm.weight,
                          .y = norm.scratch,
                          .n_rows = args.n_tokens,
                          .dim = static_cast<int>(n_in),
                          .epsilon = norm.epsilon,
                          .is_centred = norm.is_centred,
                          .bias = norm.bias},
                         stream));
    matvec.x = norm.scratch;
    norm = {};
  }
  if (!needs.quantized) return Status();
  const uint64_t needed = HipMatmulWorkspaceBytes(args.n_tokens, n_in);
  if (args.workspace.data == nullptr || args.workspace.bytes < needed)
    return InvalidArgument("matmul: the workspace is too small: needed " + std::to_string(needed) +
                           " bytes, given " + std::to_string(args.workspace.bytes));
  matvec.quantized = PlaceQuantizedActivations(args.workspace.data, args.n_tokens, n_in);
  return QuantizeActivations(matvec.x, norm, args.n_tokens, n_in, needs.digits, matvec.quantized,
                             stream);
}

bool IsBatch(const MatvecFormat& format, int n_tokens, const HipStream& stream) {
  return n_tokens >= kMinBatchTokens && HasBatch(format, stream);
}

// Whether the kernel that multiplies can activate too.
bool CanActivate(const MatmulArgs& args, const HipStream& stream) {
  const DType dtype = args.targets[0].weight.shape.dtype;
  return (args.n_targets == 1 || dtype == args.targets[1].weight.shape.dtype) &&
         !IsBatch(FindMatvecFormat(dtype), args.n_tokens, stream);
}

// The targets of one format, from number `first` on; `done` marks those that have had their turn.
Status MultiplyFormat(const MatmulArgs& args, MatvecArgs matvec, size_t first,
                      std::array<bool, 3>& done, HipStream& stream) {
  const DType dtype = args.targets[first].weight.shape.dtype;
  for (size_t i = first; i < static_cast<size_t>(args.n_targets); ++i) {
    const MatmulTarget& target = args.targets[i];
    if (target.weight.shape.dtype != dtype) continue;
    done[i] = true;
    MatvecTarget& out = matvec.targets[matvec.n_targets++];
    out.weights = static_cast<const std::byte*>(target.weight.data);
    out.bias = target.bias;
    out.residual = target.residual;
    out.y = target.y;
    out.n_rows = target.weight.shape.n_rows;
  }
  const MatvecFormat& format = FindMatvecFormat(dtype);
  if (IsBatch(format, args.n_tokens, stream)) return format.launch_batch(matvec, stream);
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
  MatvecArgs matvec;
  FORGE_TRY(PrepareActivations(args, hip, matvec));
  const bool is_activated = args.activation && CanActivate(args, hip);
  if (is_activated) {
    (args.n_targets == 2 ? matvec.is_gated : matvec.is_activated) = 1;
    matvec.activation = *args.activation;
  }
  std::array<bool, 3> done = {};
  for (size_t i = 0; i < static_cast<size_t>(args.n_targets); ++i)
    if (!done[i]) FORGE_TRY(MultiplyFormat(args, matvec, i, done, hip));
  if (!args.activation || is_activated) return Status();
  const float* const up = args.n_targets == 2 ? args.targets[1].y : nullptr;
  return LaunchGatedActivation(*args.activation, args.targets[0].y, up,
                               args.n_tokens * args.targets[0].weight.shape.n_rows, hip);
}

}  // namespace forge
