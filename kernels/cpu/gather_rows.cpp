#include "kernels/cpu/gather_rows.h"

#include <cstring>
#include <string>

#include "kernels/cpu/cpu_stream.h"
#include "kernels/cpu/parallel_rows.h"

namespace forge {

Status CpuGatherRows(const GatherRowsArgs& args, Stream& stream) {
  FORGE_TRY(Validate(args));
  for (int i = 0; i < args.n_rows; ++i) {
    if (args.rows[i] < 0 || args.rows[i] >= args.n_x_rows)
      return InvalidArgument("gather_rows: a row is out of range: rows[" + std::to_string(i) +
                             "] is " + std::to_string(args.rows[i]) + ", n_x_rows " +
                             std::to_string(args.n_x_rows));
  }
  ParallelRows(AsCpu(stream).pool(), args.n_rows, args.dim, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row)
      std::memcpy(args.y + row * args.dim, args.x + static_cast<int64_t>(args.rows[row]) * args.dim,
                  static_cast<size_t>(args.dim) * sizeof(float));
  });
  return Status();
}

}  // namespace forge
