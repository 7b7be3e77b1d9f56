#include "kernels/cpu/join_columns.h"

#include <algorithm>

#include "kernels/cpu/cpu_stream.h"
#include "kernels/cpu/parallel_rows.h"

namespace forge {

Status CpuJoinColumns(const JoinColumnsArgs& args, Stream& stream) {
  FORGE_TRY(Validate(args));
  const int64_t n_cols = int64_t{args.first.n_cols} + args.second.n_cols;
  ParallelRows(AsCpu(stream).pool(), args.n_rows, n_cols, [&](int64_t begin, int64_t end) {
    float* y = args.y + begin * n_cols;
    for (int64_t row = begin; row < end; ++row)
      for (const ColumnPart& part : {args.first, args.second})
        if (part.n_cols > 0) y = std::copy_n(part.x + row * part.stride, part.n_cols, y);
  });
  return Status();
}

}  // namespace forge
