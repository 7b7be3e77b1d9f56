#include "kernels/api/join_columns.h"

#include <limits>
#include <string>

namespace forge {
namespace {

Status Validate(const ColumnPart& part) {
  if (part.n_cols < 0 || part.stride < part.n_cols)
    return InvalidArgument(
        "join_columns: n_cols must not be negative, and stride at least as much: n_cols " +
        std::to_string(part.n_cols) + ", stride " + std::to_string(part.stride));
  return Status();
}

bool IsMissing(const ColumnPart& part) { return part.n_cols > 0 && part.x == nullptr; }

}  // namespace

Status Validate(const JoinColumnsArgs& args) {
  FORGE_TRY(Validate(args.first));
  FORGE_TRY(Validate(args.second));
  if (args.n_rows < 0)
    return InvalidArgument("join_columns: n_rows is negative: " + std::to_string(args.n_rows));
  if (args.second.n_cols > std::numeric_limits<int>::max() - args.first.n_cols ||
      args.first.n_cols + args.second.n_cols == 0)
    return InvalidArgument("join_columns: the columns together must be in [1, 2^31 - 1]: " +
                           std::to_string(args.first.n_cols) + " and " +
                           std::to_string(args.second.n_cols));
  if (args.n_rows == 0) return Status();
  if (IsMissing(args.first) || IsMissing(args.second) || args.y == nullptr)
    return InvalidArgument("join_columns: x of a part or y is null");
  return Status();
}

}  // namespace forge
