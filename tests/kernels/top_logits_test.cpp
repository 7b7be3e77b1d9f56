#include <cmath>
#include <set>

#include "kernels/reference/reference.h"
#include "tests/kernels/op_test.h"

namespace forge {
namespace {

using testing::GuardedArray;
using testing::OpRig;

constexpr double kLogSumExpTolerance = 1e-6;

class TopLogitsTest : public ::testing::TestWithParam<testing::OpRigKind> {
 protected:
  // Runs and compares with the reference; returns the columns.
  std::vector<int32_t> Check(const std::vector<float>& x, int n_cols, int k) {
    const int n_rows = static_cast<int>(x.size()) / n_cols;
    const auto rows = static_cast<size_t>(n_rows);
    const auto n = rows * static_cast<size_t>(k);
    GuardedArray<float> values(n);
    GuardedArray<int32_t> columns(n);
    GuardedArray<double> log_sum_exp(rows);
    EXPECT_TRUE(rig_->Run(TopLogitsArgs{.x = x.data(),
                                        .values = values.data(),
                                        .columns = columns.data(),
                                        .log_sum_exp = log_sum_exp.data(),
                                        .n_rows = n_rows,
                                        .n_cols = n_cols,
                                        .k = k})
                    .ok());
    std::vector<int32_t> want(n);
    std::vector<double> want_sums(rows);
    ReferenceTopLogits(x.data(), n_rows, n_cols, k, want.data(), want_sums.data());
    std::vector<int32_t> got(columns.span().begin(), columns.span().end());
    EXPECT_EQ(got, want);
    for (size_t i = 0; i < n; ++i) {
      const size_t row = i / static_cast<size_t>(k);
      EXPECT_EQ(values.span()[i],
                x[row * static_cast<size_t>(n_cols) + static_cast<size_t>(want[i])]);
    }
    for (size_t row = 0; row < rows; ++row)
      EXPECT_NEAR(log_sum_exp.span()[row], want_sums[row], kLogSumExpTolerance);
    EXPECT_TRUE(values.GuardsIntact() && columns.GuardsIntact() && log_sum_exp.GuardsIntact());
    return got;
  }

  std::unique_ptr<OpRig> rig_ = GetParam().Create(3);
};

TEST_P(TopLogitsTest, MatchesReferenceForEveryWidth) {
  for (const int n_cols : testing::Lengths()) {
    for (const int k : {1, 2, 40, kMaxTopLogits}) {
      if (k > n_cols) continue;
      for (const int n_rows : {1, 3}) {
        SCOPED_TRACE("n_cols " + std::to_string(n_cols) + ", k " + std::to_string(k) + ", n_rows " +
                     std::to_string(n_rows) + "; the seed is n_cols");
        std::mt19937 random(static_cast<uint32_t>(n_cols));
        Check(testing::NormalFloats(static_cast<size_t>(n_rows * n_cols), random, 4.0f), n_cols, k);
        if (HasFailure()) return;
      }
    }
  }
}

TEST_P(TopLogitsTest, MatchesReferenceForAWholeVocabulary) {
  std::mt19937 random(1);
  constexpr int kTokens = 151'936;
  Check(testing::NormalFloats(kTokens, random, 3.0f), kTokens, 40);
  // Some thousand share their leading digits with the greatest.
  std::vector<float> close = testing::NormalFloats(kTokens, random, 1e-3f);
  for (float& logit : close) logit += 20.0f;
  Check(close, kTokens, kMaxTopLogits);
}

TEST_P(TopLogitsTest, BreaksTiesTowardsTheLowerColumn) {
  EXPECT_EQ(Check({1.0f, 2.0f, 1.0f, 2.0f, 1.0f, 2.0f}, 6, 5),
            (std::vector<int32_t>{1, 3, 5, 0, 2}));
  EXPECT_EQ(Check({-0.0f, 0.0f, -1.0f}, 3, 2), (std::vector<int32_t>{0, 1}));
  // More equal ones than a device compares with each other.
  const std::vector<int32_t> first = Check(std::vector<float>(5000, -0.25f), 5000, 40);
  for (int i = 0; i < 40; ++i) EXPECT_EQ(first[static_cast<size_t>(i)], i);
  std::vector<float> one_greater(5000, 3.0f);
  one_greater[4000] = 4.0f;
  EXPECT_EQ(Check(one_greater, 5000, 3), (std::vector<int32_t>{4000, 0, 1}));
}

TEST_P(TopLogitsTest, FindsThemWhereverTheyAre) {
  constexpr int kCols = 3000;
  for (int at = 0; at < kCols; at += 37) {
    std::vector<float> x(kCols, -5.0f);
    x[static_cast<size_t>(at)] = 7.0f;
    x[static_cast<size_t>((at + 1500) % kCols)] = 6.0f;
    EXPECT_EQ(Check(x, kCols, 2), (std::vector<int32_t>{at, (at + 1500) % kCols}));
  }
}

TEST_P(TopLogitsTest, TakesExcludedAndFarTokens) {
  const float none = -INFINITY;
  Check({none, 1.0f, none, none, 0.5f, none}, 6, 2);
  Check({none, -3e38f, none}, 3, 3);
  Check({3e38f, 1.0f, -3e38f, 0.0f}, 4, 4);
  Check({1e-40f, -1e-40f, 0.0f, 1e-45f}, 4, 4);
}

TEST_P(TopLogitsTest, SaysWhereARowIsNoNumbersAndNamesColumnsThatThereAre) {
  constexpr int kCols = 70;
  for (const float odd : {NAN, INFINITY, -INFINITY}) {
    std::vector<float> x(3 * kCols, odd == -INFINITY ? odd : 1.0f);
    x[kCols + 3] = odd;  // the middle one of three rows
    std::fill_n(x.begin(), kCols, 1.0f);
    std::vector<float> values(15);
    std::vector<int32_t> columns(15, -1);
    std::vector<double> sums(3);
    ASSERT_TRUE(rig_->Run(TopLogitsArgs{.x = x.data(),
                                        .values = values.data(),
                                        .columns = columns.data(),
                                        .log_sum_exp = sums.data(),
                                        .n_rows = 3,
                                        .n_cols = kCols,
                                        .k = 5})
                    .ok());
    EXPECT_TRUE(std::isfinite(sums[0]));
    EXPECT_FALSE(std::isfinite(sums[1])) << odd;
    for (int row = 0; row < 3; ++row) {
      const std::set<int32_t> distinct(columns.begin() + 5 * row, columns.begin() + 5 * row + 5);
      EXPECT_EQ(distinct.size(), 5u);
      EXPECT_GE(*distinct.begin(), 0);
      EXPECT_LT(*distinct.rbegin(), kCols);
    }
  }
}

TEST_P(TopLogitsTest, FindsWhatIsNoNumberWhereverItIs) {
  constexpr int kCols = 20'000, kExcluded = 9'000;
  std::mt19937 random(2);
  std::vector<float> x = testing::NormalFloats(kCols, random, 3.0f);
  // Longer than what a device looks through at a time.
  std::fill_n(x.begin() + 5'000, kExcluded, -INFINITY);
  Check(x, kCols, 40);
  for (const int at : {0, 4'999, 5'000, 9'500, 13'999, kCols - 1}) {
    std::vector<float> odd = x;
    odd[static_cast<size_t>(at)] = NAN;
    float value[1];
    int32_t column[1];
    double sum[1];
    ASSERT_TRUE(rig_->Run(TopLogitsArgs{.x = odd.data(),
                                        .values = value,
                                        .columns = column,
                                        .log_sum_exp = sum,
                                        .n_rows = 1,
                                        .n_cols = kCols,
                                        .k = 1})
                    .ok());
    EXPECT_FALSE(std::isfinite(sum[0])) << at;
    EXPECT_NE(column[0], at);
  }
}

TEST_P(TopLogitsTest, GivesARowTheSameBitsAloneAndAmongOthers) {
  constexpr int kRows = 7, kCols = 50'001, kChosen = 20;
  std::mt19937 random(3);
  const std::vector<float> x = testing::NormalFloats(size_t{kRows} * kCols, random, 3.0f);
  const auto run = [&](int row, int n_rows) {
    std::vector<float> values(static_cast<size_t>(n_rows) * kChosen);
    std::vector<int32_t> columns(values.size());
    std::vector<double> sums(static_cast<size_t>(n_rows));
    EXPECT_TRUE(rig_->Run(TopLogitsArgs{.x = x.data() + row * kCols,
                                        .values = values.data(),
                                        .columns = columns.data(),
                                        .log_sum_exp = sums.data(),
                                        .n_rows = n_rows,
                                        .n_cols = kCols,
                                        .k = kChosen})
                    .ok());
    return std::pair(sums, columns);
  };
  const auto [sums, columns] = run(0, kRows);
  for (int row = 0; row < kRows; ++row) {
    const auto [sum, chosen] = run(row, 1);
    EXPECT_EQ(sum[0], sums[static_cast<size_t>(row)]) << row;
    const auto first = columns.begin() + row * kChosen;
    EXPECT_EQ(chosen, std::vector<int32_t>(first, first + kChosen)) << row;
  }
}

TEST_P(TopLogitsTest, TakesNothingAsNoWorkAndRefusesBadArguments) {
  float x[4] = {}, values[4] = {};
  int32_t columns[4] = {};
  double sums[1] = {};
  const auto code_with = [&](auto change) {
    TopLogitsArgs args = {.x = x,
                          .values = values,
                          .columns = columns,
                          .log_sum_exp = sums,
                          .n_rows = 1,
                          .n_cols = 4,
                          .k = 2};
    change(args);
    return rig_->Run(args).code();
  };
  const StatusCode refused = StatusCode::kInvalidArgument;
  EXPECT_EQ(code_with([](TopLogitsArgs& a) { a.x = nullptr; }), refused);
  EXPECT_EQ(code_with([](TopLogitsArgs& a) { a.values = nullptr; }), refused);
  EXPECT_EQ(code_with([](TopLogitsArgs& a) { a.columns = nullptr; }), refused);
  EXPECT_EQ(code_with([](TopLogitsArgs& a) { a.log_sum_exp = nullptr; }), refused);
  EXPECT_EQ(code_with([](TopLogitsArgs& a) { a.n_rows = -1; }), refused);
  EXPECT_EQ(code_with([](TopLogitsArgs& a) { a.n_cols = 0; }), refused);
  EXPECT_EQ(code_with([](TopLogitsArgs& a) { a.k = 0; }), refused);
  EXPECT_EQ(code_with([](TopLogitsArgs& a) { a.k = 5; }), refused);
  EXPECT_EQ(code_with([](TopLogitsArgs& a) { a.n_cols = 100, a.k = kMaxTopLogits + 1; }), refused);
  EXPECT_EQ(code_with([](TopLogitsArgs& a) { a.n_rows = 0; }), StatusCode::kOk);
}

INSTANTIATE_TEST_SUITE_P(Devices, TopLogitsTest, ::testing::ValuesIn(testing::OpRigKinds()),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace forge
