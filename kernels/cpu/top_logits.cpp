#include "kernels/cpu/top_logits.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>

#include "kernels/base/log_sum_exp.h"
#include "kernels/cpu/cpu_stream.h"
#include "kernels/cpu/parallel_rows.h"

namespace forge {
namespace {

// Columns that are compared together with the least of those chosen: of a vocabulary a few hundred
// come before it.
constexpr int kGroup = 32;

// NaN compares with nothing, and a column's place must not depend on that.
float Key(float logit) {
  return std::isnan(logit) ? -std::numeric_limits<float>::infinity() : logit;
}

// The k greatest of a row in order, grown one column after the other.
class TopList {
 public:
  TopList(float* values, int32_t* columns, int k) : values_(values), columns_(columns), k_(k) {}

  // What a column must exceed to be among them.
  float least() const { return least_; }
  bool is_full() const { return n_ == k_; }

  void Add(float value, int32_t column) {
    const float key = Key(value);
    if (is_full() && !(key > least_)) return;
    int place = is_full() ? k_ - 1 : n_++;
    for (; place > 0 && key > Key(values_[place - 1]); --place) {
      values_[place] = values_[place - 1];
      columns_[place] = columns_[place - 1];
    }
    values_[place] = value;
    columns_[place] = column;
    if (is_full()) least_ = Key(values_[k_ - 1]);
  }

 private:
  float* const values_;
  int32_t* const columns_;
  const int k_;
  int n_ = 0;
  float least_ = -std::numeric_limits<float>::infinity();
};

bool AnyAbove(const float* x, float least) {
  int n_above = 0;
  for (int i = 0; i < kGroup; ++i) n_above += x[i] > least ? 1 : 0;
  return n_above > 0;
}

void FindTop(const float* x, int n_cols, TopList top) {
  int column = 0;
  for (; column < n_cols && !top.is_full(); ++column) top.Add(x[column], column);
  for (; column + kGroup <= n_cols; column += kGroup) {
    if (!AnyAbove(x + column, top.least())) continue;
    for (int i = 0; i < kGroup; ++i) top.Add(x[column + i], column + i);
  }
  for (; column < n_cols; ++column) top.Add(x[column], column);
}

}  // namespace

Status CpuTopLogits(const TopLogitsArgs& args, Stream& stream) {
  FORGE_TRY(Validate(args));
  // An exponential makes a logit twice as dear as a plain element.
  ParallelRows(AsCpu(stream).pool(), args.n_rows, 2 * static_cast<int64_t>(args.n_cols),
               [&](int64_t begin, int64_t end) {
                 for (int64_t row = begin; row < end; ++row) {
                   const float* x = args.x + row * args.n_cols;
                   FindTop(x, args.n_cols,
                           {args.values + row * args.k, args.columns + row * args.k, args.k});
                   args.log_sum_exp[row] =
                       LogSumExp(std::span(x, static_cast<size_t>(args.n_cols)));
                 }
               });
  return Status();
}

}  // namespace forge
