#include "kernels/cpu/gated_activation.h"

#include "kernels/cpu/cpu_stream.h"
#include "kernels/cpu/parallel_rows.h"
#include "kernels/cpu/vector_kernels.h"

namespace forge {

Status CpuGatedActivation(const GatedActivationArgs& args, Stream& stream) {
  FORGE_TRY(Validate(args));
  CpuStream& cpu = AsCpu(stream);
  const auto activate =
      VectorKernelsFor(cpu.level()).gated_activation[static_cast<size_t>(args.activation)];
  // An exponential and a division make an element four times as dear as a plain one.
  ParallelRows(cpu.pool(), args.n, 4, [&](int64_t begin, int64_t end) {
    activate(args.gate + begin, args.up + begin, args.y + begin, end - begin);
  });
  return Status();
}

}  // namespace forge
