#include <cmath>
#include <vector>

#include "kernels/reference/reference.h"

namespace forge {
namespace {

// One head over all tokens.
void RunHead(const StateSpaceArgs& args, int64_t n_tokens, size_t head, double* y) {
  const auto dim = static_cast<size_t>(args.head_dim), n = static_cast<size_t>(args.state_dim);
  const auto n_heads = static_cast<size_t>(args.n_heads);
  const auto n_groups = static_cast<size_t>(args.n_groups);
  const size_t group = head / (n_heads / n_groups);
  std::vector<double> state(n * dim);
  for (size_t token = 0; token < static_cast<size_t>(n_tokens); ++token) {
    const float* row = args.xbc + token * (n_heads * dim + 2 * n_groups * n);
    const float* x = row + head * dim;
    const float* b = row + n_heads * dim + group * n;
    const float* c = b + n_groups * n;
    const double raw = double{args.step[token * n_heads + head]} + double{args.step_bias[head]};
    const double step = raw > 40.0 ? raw : std::log1p(std::exp(raw));
    const double decay = std::exp(double{args.decay[head]} * step);
    for (size_t i = 0; i < dim; ++i) {
      double sum = double{args.skip[head]} * double{x[i]};
      for (size_t k = 0; k < n; ++k) {
        double& s = state[k * dim + i];
        s = decay * s + double{b[k]} * step * double{x[i]};
        sum += s * double{c[k]};
      }
      const size_t at = (token * n_heads + head) * dim + i;
      const double gate = args.gate[at];
      y[at] = sum * gate / (1.0 + std::exp(-gate));
    }
  }
}

}  // namespace

void ReferenceStateSpace(const StateSpaceArgs& args, int64_t n_tokens, double* y) {
  for (int head = 0; head < args.n_heads; ++head)
    RunHead(args, n_tokens, static_cast<size_t>(head), y);
}

}  // namespace forge
