#include "kernels/api/gather_rows.h"

#include <string>

namespace forge {

Status Validate(const GatherRowsArgs& args) {
  if (args.n_x_rows < 0 || args.n_rows < 0 || args.dim <= 0)
    return InvalidArgument(
        "gather_rows: row counts must not be negative and dim must be positive: n_x_rows " +
        std::to_string(args.n_x_rows) + ", n_rows " + std::to_string(args.n_rows) + ", dim " +
        std::to_string(args.dim));
  if (args.n_rows == 0) return Status();
  if (args.n_x_rows == 0)
    return InvalidArgument("gather_rows: there is no row to pick from: n_rows " +
                           std::to_string(args.n_rows));
  if (args.x == nullptr || args.rows == nullptr || args.y == nullptr)
    return InvalidArgument("gather_rows: x, rows or y is null");
  return Status();
}

}  // namespace forge
