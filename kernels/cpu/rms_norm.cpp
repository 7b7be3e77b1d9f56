#include "kernels/cpu/rms_norm.h"

#include "kernels/cpu/cpu_stream.h"
#include "kernels/cpu/parallel_rows.h"
#include "kernels/cpu/vector_kernels.h"

namespace forge {

Status CpuRmsNorm(const RmsNormArgs& args, Stream& stream) {
  FORGE_TRY(Validate(args));
  CpuStream& cpu = AsCpu(stream);
  const VectorKernels& kernels = VectorKernelsFor(cpu.level());
  ParallelRows(cpu.pool(), args.n_rows, args.dim, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const int64_t weights_at = row % args.n_weight_rows * args.dim;
      const auto weights_of_row = [&](const float* weights) {
        return weights == nullptr ? nullptr : weights + weights_at;
      };
      const RowNorm norm = {weights_of_row(args.weight), weights_of_row(args.bias), args.epsilon,
                            args.is_centred, args.sum_scale};
      const float* residual = args.residual == nullptr ? nullptr : args.residual + row * args.dim;
      NormRow(kernels, args.x + row * args.dim, norm, residual, args.y + row * args.dim, args.dim);
    }
  });
  return Status();
}

}  // namespace forge
