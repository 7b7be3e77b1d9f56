#include "kernels/cpu/combine_experts.h"

#include "kernels/cpu/cpu_stream.h"
#include "kernels/cpu/parallel_rows.h"
#include "kernels/cpu/vector_kernels.h"

namespace forge {

Status CpuCombineExperts(const CombineExpertsArgs& args, Stream& stream) {
  FORGE_TRY(Validate(args));
  CpuStream& cpu = AsCpu(stream);
  const VectorKernels& kernels = VectorKernelsFor(cpu.level());
  const int64_t dim = args.dim;
  const auto combine = [&](int64_t token) {
    kernels.combine_experts(
        {.x = args.x + token * args.n_used * dim,
         .weights = args.weights + token * args.n_used,
         .shared = args.shared == nullptr ? nullptr : args.shared + token * dim,
         .shared_gate = args.shared_gate == nullptr ? nullptr : args.shared_gate + token,
         .residual = args.residual == nullptr ? nullptr : args.residual + token * dim,
         .y = args.y + token * dim,
         .n_used = args.n_used,
         .dim = dim});
  };
  ParallelRows(cpu.pool(), args.n_tokens, dim * args.n_used, [&](int64_t begin, int64_t end) {
    for (int64_t token = begin; token < end; ++token) combine(token);
  });
  return Status();
}

}  // namespace forge
