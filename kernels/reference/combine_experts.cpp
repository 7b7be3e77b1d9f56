#include <cmath>

#include "kernels/reference/reference.h"

namespace forge {

void ReferenceCombineExperts(const CombineExpertsArgs& args, double* y) {
  for (int64_t t = 0; t < args.n_tokens; ++t) {
    const double shared_weight =
        args.shared_gate == nullptr
            ? 1.0
            : 1.0 / (1.0 + std::exp(-static_cast<double>(args.shared_gate[t])));
    for (int64_t d = 0; d < args.dim; ++d) {
      const int64_t at = t * args.dim + d;
      double sum = 0.0;
      for (int64_t k = t * args.n_used; k < (t + 1) * args.n_used; ++k)
        sum += static_cast<double>(args.weights[k]) * static_cast<double>(args.x[k * args.dim + d]);
      if (args.shared != nullptr) sum += shared_weight * static_cast<double>(args.shared[at]);
      if (args.residual != nullptr) sum += static_cast<double>(args.residual[at]);
      y[at] = sum;
    }
  }
}

}  // namespace forge
