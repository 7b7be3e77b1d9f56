#include "kernels/api/top_logits.h"

#include <algorithm>
#include <string>

namespace forge {

Status Validate(const TopLogitsArgs& args) {
  if (args.n_rows < 0 || args.n_cols <= 0)
    return InvalidArgument("top_logits: n_rows must not be negative and n_cols must be positive: " +
                           std::to_string(args.n_rows) + ", " + std::to_string(args.n_cols));
  if (args.k < 1 || args.k > std::min(args.n_cols, kMaxTopLogits))
    return InvalidArgument("top_logits: k must be in [1, " +
                           std::to_string(std::min(args.n_cols, kMaxTopLogits)) + "], not " +
                           std::to_string(args.k));
  if (args.n_rows == 0) return Status();
  if (args.x == nullptr || args.values == nullptr || args.columns == nullptr ||
      args.log_sum_exp == nullptr)
    return InvalidArgument("top_logits: x, values, columns or log_sum_exp is null");
  return Status();
}

}  // namespace forge
