#include <cmath>
#include <vector>

#include "kernels/reference/reference.h"

namespace forge {
namespace {

std::vector<double> Normalized(const float* x, int64_t n) {
  double squares = 0.0;
  for (int64_t i = 0; i < n; ++i) squares += double{x[i]} * double{x[i]};
  std::vector<double> y(x, x + n);
  for (double& value : y) value /= std::sqrt(squares + 1e-6);
  return y;
}

double Sigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }

// y[column] = sum over rows of s[row, column] * x[row]
std::vector<double> ProductOf(const std::vector<double>& s, const std::vector<double>& x) {
  const size_t n = x.size();
  std::vector<double> y(n);
  for (size_t row = 0; row < n; ++row)
    for (size_t column = 0; column < n; ++column) y[column] += s[row * n + column] * x[row];
  return y;
}

// Of one head, with the value before the norm and the state in double.
class Head {
 public:
  Head(const DeltaRuleArgs& args, int64_t head)
      : args_(args),
        head_(head),
        key_head_(args.spreads_key_heads ? head / (args.n_value_heads / args.n_key_heads)
                                         : head % args.n_key_heads),
        dim_(args.head_dim),
        s_(static_cast<size_t>(dim_ * dim_)) {}

  void Run(int64_t token, double* y) {
    const std::vector<double> o = Answer(token);
    const int64_t at = token * args_.n_value_heads + head_;
    double squares = 0.0;
    for (const double value : o) squares += value * value;
    const double scale =
        1.0 / std::sqrt(squares / static_cast<double>(dim_) + double{args_.epsilon});
    for (int64_t i = 0; i < dim_; ++i) {
      const double gate = args_.gate[at * dim_ + i];
      y[at * dim_ + i] =
          o[static_cast<size_t>(i)] * scale * double{args_.norm_weight[i]} * gate * Sigmoid(gate);
    }
  }

 private:
  std::vector<double> Answer(int64_t token) {
    const int64_t n_heads = 2 * int64_t{args_.n_key_heads} + args_.n_value_heads;
    const float* row = args_.qkv + token * n_heads * dim_;
    std::vector<double> q = Normalized(row + key_head_ * dim_, dim_);
    for (double& value : q) value /= std::sqrt(static_cast<double>(dim_));
    const std::vector<double> k = Normalized(row + (args_.n_key_heads + key_head_) * dim_, dim_);
    const float* value = row + (2 * args_.n_key_heads + head_) * dim_;
    const int64_t at = token * args_.n_value_heads + head_;
    const double rise = double{args_.alpha[at]} + double{args_.alpha_bias[head_]};
    const double decay = std::exp(double{args_.decay[head_]} * std::log1p(std::exp(rise)));
    for (double& element : s_) element *= decay;
    const std::vector<double> recalled = ProductOf(s_, k);
    for (size_t r = 0; r < k.size(); ++r)
      for (size_t c = 0; c < k.size(); ++c)
        s_[r * k.size() + c] +=
            k[r] * Sigmoid(double{args_.beta[at]}) * (double{value[c]} - recalled[c]);
    return ProductOf(s_, q);
  }

  const DeltaRuleArgs& args_;
  const int64_t head_;
  const int64_t key_head_;
  const int64_t dim_;
  std::vector<double> s_;  // [dim of keys, dim of values]
};

}  // namespace

void ReferenceDeltaRule(const DeltaRuleArgs& args, int64_t n_tokens, double* y) {
  for (int64_t h = 0; h < args.n_value_heads; ++h) {
    Head head(args, h);
    for (int64_t token = 0; token < n_tokens; ++token) head.Run(token, y);
  }
}

}  // namespace forge
