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
      const float* residual = args.residual == nullptr ? nullptr : args.residual + row * args.dim;
      kernels.rms_norm(args.x + row * args.dim, args.weight, residual, args.y + row * args.dim,
                       args.dim, args.epsilon);
    }
  });
  return Status();
}

}  // namespace forge
