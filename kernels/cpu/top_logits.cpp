#include "kernels/cpu/top_logits.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>

#include "kernels/base/log_sum_exp.h"
#include "kernels/cpu/cpu_stream.h"
#include "kernels/cpu/parallel_rows.h"
#include "kernels/cpu/vector_kernels.h"

namespace forge {
namespace {

// Columns that are compared together with the least of those chosen.
constexpr int kComparedTogether = 32;

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
  for (int i = 0; i < kComparedTogether; ++i) n_above += x[i] > least ? 1 : 0;
  return n_above > 0;
}

void FindTop(const float* x, int n_cols, TopList& top) {
  int column = 0;
  for (; column < n_cols && !top.is_full(); ++column) top.Add(x[column], column);
  for (; column + kComparedTogether <= n_cols; column += kComparedTogether) {
    if (!AnyAbove(x + column, top.least())) continue;
    for (int i = 0; i < kComparedTogether; ++i) top.Add(x[column + i], column + i);
  }
  for (; column < n_cols; ++column) top.Add(x[column], column);
}

// How a row is cut, whatever threads there are: its sum hangs on that. A piece is what one thread
// looks through, for the greatest of each group of columns and the sum of exponentials; it stays in
// a first-level cache between the two.
class RowCut {
 public:
  static constexpr int kMaxGroups = 4096;
  static constexpr int kPieceGroups = 128;
  static constexpr int kMaxPieces = kMaxGroups / kPieceGroups;

  explicit RowCut(int n_cols)
      : n_cols_(n_cols),
        group_columns_(CeilDivide(n_cols, kMaxGroups * kLeastColumns) * kLeastColumns) {}

  int group_columns() const { return group_columns_; }
  int piece_columns() const { return kPieceGroups * group_columns_; }
  int n_groups() const { return CeilDivide(n_cols_, group_columns_); }
  int n_pieces() const { return CeilDivide(n_cols_, piece_columns()); }
  // The columns of a group or piece that starts at `first`, of `n` or fewer.
  std::span<const float> Part(const float* x, int64_t first, int64_t n) const {
    return {x + first, static_cast<size_t>(std::min<int64_t>(n, n_cols_ - first))};
  }

 private:
  static constexpr int kLeastColumns = 32;
  static constexpr int CeilDivide(int a, int b) { return (a - 1) / b + 1; }

  const int n_cols_;
  const int group_columns_;
};

// What was found in a row.
struct RowScan {
  struct Piece {
    float maximum;
    double sum;  // of exp(x - maximum)
  };
  float maxima[RowCut::kMaxGroups];  // of groups
  Piece pieces[RowCut::kMaxPieces];
};

void ScanPiece(const VectorKernels& kernels, const RowCut& cut, const float* x, int piece,
               RowScan& scan) {
  const std::span<const float> columns =
      cut.Part(x, int64_t{piece} * cut.piece_columns(), cut.piece_columns());
  float* const maxima = scan.maxima + piece * RowCut::kPieceGroups;
  kernels.group_maxima(columns.data(), static_cast<int64_t>(columns.size()), cut.group_columns(),
                       maxima);
  const int n_groups =
      std::min(RowCut::kPieceGroups, cut.n_groups() - piece * RowCut::kPieceGroups);
  const float maximum = *std::max_element(maxima, maxima + n_groups);
  // Without a number in it a piece adds nothing; that shows where no piece has one.
  double sum = 0.0;
  if (std::isfinite(maximum)) {
    sum = SumOfExponentials(columns, maximum);
  } else if (std::isnan(Maximum(columns))) {
    sum = std::numeric_limits<double>::quiet_NaN();
  }
  scan.pieces[piece] = {maximum, sum};
}

double SumPieces(const RowCut& cut, const RowScan& scan) {
  float maximum = -std::numeric_limits<float>::infinity();
  for (int i = 0; i < cut.n_pieces(); ++i) maximum = std::max(maximum, scan.pieces[i].maximum);
  if (!std::isfinite(maximum)) return static_cast<double>(maximum);
  double sum = 0.0;
  for (int i = 0; i < cut.n_pieces(); ++i)
    sum += scan.pieces[i].sum *
           std::exp(static_cast<double>(scan.pieces[i].maximum) - static_cast<double>(maximum));
  return static_cast<double>(maximum) + std::log(sum);
}

// As many groups as there are places have a maximum of at least the least of the greatest maxima,
// so nothing below that is among the chosen.
void Choose(const RowCut& cut, const float* x, const RowScan& scan, TopList top, int k) {
  float values[kMaxTopLogits];
  int32_t groups[kMaxTopLogits];
  TopList greatest(values, groups, k);
  FindTop(scan.maxima, cut.n_groups(), greatest);
  const float least = greatest.least();
  for (int g = 0; g < cut.n_groups(); ++g) {
    if (scan.maxima[g] < least) continue;
    const int64_t first = int64_t{g} * cut.group_columns();
    const std::span<const float> columns = cut.Part(x, first, cut.group_columns());
    for (size_t i = 0; i < columns.size(); ++i)
      if (Key(columns[i]) >= least)
        top.Add(columns[i], static_cast<int32_t>(first + static_cast<int64_t>(i)));
  }
}

// Looks through the rows, each on one thread or, where there are fewer rows than threads, on all.
class TopLogits {
 public:
  TopLogits(const TopLogitsArgs& args, CpuStream& stream)
      : args_(args),
        cut_(args.n_cols),
        kernels_(VectorKernelsFor(stream.level())),
        pool_(stream.pool()) {}

  void Run() const {
    // Two passes, and an exponential.
    const int64_t row_cost = 2 * static_cast<int64_t>(args_.n_cols);
    if (args_.n_rows < pool_.n_threads()) {
      for (int row = 0; row < args_.n_rows; ++row) {
        RowScan scan;
        ParallelRows(pool_, cut_.n_pieces(), row_cost / cut_.n_pieces(),
                     [&](int64_t begin, int64_t end) { ScanPieces(row, begin, end, scan); });
        Finish(row, scan);
      }
      return;
    }
    ParallelRows(pool_, args_.n_rows, row_cost, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        RowScan scan;
        ScanPieces(row, 0, cut_.n_pieces(), scan);
        Finish(row, scan);
      }
    });
  }

 private:
  const float* Row(int64_t row) const { return args_.x + row * args_.n_cols; }

  void ScanPieces(int64_t row, int64_t begin, int64_t end, RowScan& scan) const {
    for (int64_t piece = begin; piece < end; ++piece)
      ScanPiece(kernels_, cut_, Row(row), static_cast<int>(piece), scan);
  }

  void Finish(int64_t row, const RowScan& scan) const {
    args_.log_sum_exp[row] = SumPieces(cut_, scan);
    Choose(cut_, Row(row), scan,
           {args_.values + row * args_.k, args_.columns + row * args_.k, args_.k}, args_.k);
  }

  const TopLogitsArgs& args_;
  const RowCut cut_;
  const VectorKernels& kernels_;
  ThreadPool& pool_;
};

}  // namespace

Status CpuTopLogits(const TopLogitsArgs& args, Stream& stream) {
  FORGE_TRY(Validate(args));
  TopLogits(args, AsCpu(stream)).Run();
  return Status();
}

}  // namespace forge
