#include "kernels/api/multiply_columns.h"

#include <string>

namespace forge {

Status Validate(const MultiplyColumnsArgs& args) {
  if (args.n_rows < 0)
    return InvalidArgument("multiply_columns: n_rows is negative: " + std::to_string(args.n_rows));
  if (args.factor.n_cols < 1 || args.factor.stride < args.factor.n_cols)
    return InvalidArgument(
        "multiply_columns: a factor has at least one column, and stride is at least n_cols: "
        "n_cols " +
        std::to_string(args.factor.n_cols) + ", stride " + std::to_string(args.factor.stride));
  if (args.n_rows == 0) return Status();
  if (args.x == nullptr || args.factor.x == nullptr || args.y == nullptr)
    return InvalidArgument("multiply_columns: x, the factor's x or y is null");
  return Status();
}

}  // namespace forge
