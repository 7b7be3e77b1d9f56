#include "kernels/cpu/soft_cap.h"

#include "kernels/cpu/cpu_stream.h"
#include "kernels/cpu/parallel_rows.h"
#include "kernels/cpu/vector_kernels.h"

namespace forge {

Status CpuSoftCap(const SoftCapArgs& args, Stream& stream) {
  FORGE_TRY(Validate(args));
  CpuStream& cpu = AsCpu(stream);
  const VectorKernels& kernels = VectorKernelsFor(cpu.level());
  // An exponential and two divisions make an element four times as dear as a plain one.
  ParallelRows(cpu.pool(), args.n, 4, [&](int64_t begin, int64_t end) {
    kernels.soft_cap(args.x + begin, args.y + begin, end - begin, args.cap);
  });
  return Status();
}

}  // namespace forge
