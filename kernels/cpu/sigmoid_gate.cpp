#include "kernels/cpu/sigmoid_gate.h"

#include "kernels/cpu/cpu_stream.h"
#include "kernels/cpu/parallel_rows.h"
#include "kernels/cpu/vector_kernels.h"

namespace forge {

Status CpuSigmoidGate(const SigmoidGateArgs& args, Stream& stream) {
  FORGE_TRY(Validate(args));
  CpuStream& cpu = AsCpu(stream);
  const VectorKernels& kernels = VectorKernelsFor(cpu.level());
  const int64_t n_cols = args.gate.n_cols;
  // An exponential and a division make an element four times as dear as a plain one.
  ParallelRows(cpu.pool(), args.n_rows, 4 * n_cols, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row)
      kernels.sigmoid_gate(args.gate.x + row * args.gate.stride, args.x + row * n_cols,
                           args.y + row * n_cols, n_cols);
  });
  return Status();
}

}  // namespace forge
