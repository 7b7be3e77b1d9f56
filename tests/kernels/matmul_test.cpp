#include "kernels/reference/matmul.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include "tests/kernels/packed_matrix.h"

namespace forge {
namespace {

using testing::GuardedBytes;
using testing::OpRig;
using testing::PackedMatrix;

bool IsQuantized(const FormatInfo& format) { return format.block_elements > 1; }

// --- Tolerances, as a share of sum_k |x[k]| * max |w|.

// float32 sums of up to 1024 products; activations are exact here, see GridActivations.
constexpr double kFloatTolerance = 4e-6;
// A value rounded to int8 is off by at most half a step, 1/254 of its block's largest. The signs of
// 32 and more roundings are as good as random, so that the sum is off by far less than that share
// of sum |x| * max |w|; a wrong code, scale or sum is not.
constexpr double kRoundingTolerance = 1.0 / 254;

// A device may round the quantised weights of prompts to bfloat16, by up to 1/256 of each, and by
// half of that on average.
constexpr double kPromptTolerance = 1.0 / 512;
// The activations of prompts for F16 and BF16 weights to the sum of two bfloat16 numbers.
constexpr double kTwoDigitTolerance = 1e-5;

// --- Activations

// Multiples of a power of two with the largest of each 32 at 127 of them: int8 holds them exactly,
// so that only float32 rounding tells a kernel from the reference.
std::vector<float> GridActivations(size_t n, std::mt19937& rng) {
  std::uniform_int_distribution<int> code(-127, 127);
  std::vector<float> x(n);
  for (size_t i = 0; i < n; ++i) {
    const float step = std::ldexp(1.0f, static_cast<int>(i / 32 % 7) - 9);
    x[i] = step * static_cast<float>(i % 32 == 19 ? (i / 32 % 2 == 0 ? 127 : -127) : code(rng));
  }
  return x;
}

std::vector<float> NormalActivations(size_t n, std::mt19937& rng) {
  std::normal_distribution<float> normal;
  std::vector<float> x(n);
  std::generate(x.begin(), x.end(), [&] { return normal(rng); });
  return x;
}

// --- One product

const float* DataOrNull(const std::vector<float>& values) {
  return values.empty() ? nullptr : values.data();
}

std::vector<float> Multiply(PackedMatrix& weight, const float* x, int n_tokens, const float* bias,
                            const float* residual, OpRig& rig, int n_prompt_tokens = 0) {
  const WeightShape& shape = weight.shape();
  const auto n_values = static_cast<size_t>(shape.n_rows * n_tokens);
  GuardedBytes y(n_values * sizeof(float));
  GuardedBytes workspace(rig.MatmulWorkspaceBytes(n_tokens, shape.n_cols));
  MatmulArgs args;
  args.x = x;
  args.n_tokens = n_tokens;
  args.n_prompt_tokens = n_prompt_tokens;
  args.n_targets = 1;
  args.targets[0] = {weight.view(), bias, residual, reinterpret_cast<float*>(y.data())};
  args.workspace = {workspace.data(), workspace.size()};
  const Status status = rig.Run(args);
  EXPECT_TRUE(status.ok()) << status.ToString();
  EXPECT_TRUE(y.IsIntact());
  EXPECT_TRUE(workspace.IsIntact());
  const auto* values = reinterpret_cast<const float*>(y.data());
  return std::vector<float>(values, values + n_values);
}

// Compares with the reference to within `tolerance` * sum |x| * max |w|.
void ExpectNearReference(PackedMatrix& weight, const std::vector<float>& x, int n_tokens,
                         const std::vector<float>& bias, const std::vector<float>& residual,
                         double tolerance, OpRig& rig, int n_prompt_tokens = 0) {
  const auto [dtype, n_rows, n_cols] = weight.shape();
  const std::vector<float> actual = Multiply(weight, x.data(), n_tokens, DataOrNull(bias),
                                             DataOrNull(residual), rig, n_prompt_tokens);
  std::vector<double> expected(actual.size());
  ReferenceMatmul(dtype, weight.file_rows().data(), n_rows, n_cols, x.data(), n_tokens,
                  DataOrNull(bias), DataOrNull(residual), expected.data());

  const FormatInfo& format = *FindFormat(dtype);
  std::vector<float> values(static_cast<size_t>(n_rows * n_cols));
  format.dequantize(weight.file_rows().data(), values.size() / format.block_elements,
                    values.data());
  const auto largest = std::max_element(values.begin(), values.end(),
                                        [](float a, float b) { return std::abs(a) < std::abs(b); });
  for (int t = 0; t < n_tokens; ++t) {
    double magnitude = 0.0;
    for (int64_t k = 0; k < n_cols; ++k)
      magnitude += std::abs(static_cast<double>(x[static_cast<size_t>(t * n_cols + k)]));
    const double limit = tolerance * magnitude * std::abs(static_cast<double>(*largest)) + 1e-6;
    for (int64_t r = 0; r < n_rows; ++r) {
      const auto i = static_cast<size_t>(t * n_rows + r);
      ASSERT_NEAR(static_cast<double>(actual[i]), expected[i], limit)
          << "row " << r << ", token " << t;
    }
  }
}

class MatmulTest : public ::testing::TestWithParam<std::tuple<testing::OpRigKind, FormatInfo>> {
 protected:
  const testing::OpRigKind& device() const { return std::get<testing::OpRigKind>(GetParam()); }
  const FormatInfo& format() const { return std::get<FormatInfo>(GetParam()); }
  int64_t ColsOf(int64_t n_blocks) const {
    return IsQuantized(format()) ? n_blocks * format().block_elements : n_blocks * 33;
  }
  std::string CaseName(int64_t n_rows, int64_t n_blocks, int n_tokens, uint32_t seed) const {
    return "rows " + std::to_string(n_rows) + ", cols " + std::to_string(ColsOf(n_blocks)) +
           ", tokens " + std::to_string(n_tokens) + ", seed " + std::to_string(seed);
  }

  std::unique_ptr<OpRig> rig_ = device().Create(3);
};

TEST_P(MatmulTest, MatchesTheReferenceInEveryShape) {
  for (const int64_t n_rows : {1, 15, 16, 17, 33, 100}) {
    for (const int64_t n_blocks : {1, 4}) {
      for (const int n_tokens : {1, 2, 3, 4, 5, 6, 7, 8, 9, 16, 33, 70}) {
        const auto seed = static_cast<uint32_t>(n_rows * 1000 + n_blocks * 100 + n_tokens);
        SCOPED_TRACE(CaseName(n_rows, n_blocks, n_tokens, seed));
        std::mt19937 rng(seed);
        PackedMatrix weight(*rig_, {format().dtype, n_rows, ColsOf(n_blocks)}, rng);
        const auto n_in = static_cast<size_t>(n_tokens * ColsOf(n_blocks));
        const auto n_out = static_cast<size_t>(n_tokens * n_rows);
        const bool has_bias = seed % 2 == 0;
        const bool has_residual = seed % 3 == 0;
        ExpectNearReference(weight, GridActivations(n_in, rng), n_tokens,
                            NormalActivations(has_bias ? static_cast<size_t>(n_rows) : 0, rng),
                            NormalActivations(has_residual ? n_out : 0, rng), kFloatTolerance,
                            *rig_);
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST_P(MatmulTest, MultipliesPromptsBesideGeneratedTokens) {
  if (!rig_->runs_on_threads()) GTEST_SKIP() << "a GPU has one way for all tokens";
  for (const int64_t n_rows : {1, 17, 100}) {
    for (const int64_t n_blocks : {1, 2, 9}) {
      for (const auto& [n_tokens, n_prompt_tokens] : std::vector<std::pair<int, int>>{
               {1, 1}, {9, 1}, {16, 16}, {18, 17}, {33, 33}, {57, 48}, {300, 290}}) {
        const auto seed = static_cast<uint32_t>(n_rows * 1000 + n_blocks * 100 + n_tokens);
        SCOPED_TRACE(CaseName(n_rows, n_blocks, n_tokens, seed));
        std::mt19937 rng(seed);
        PackedMatrix weight(*rig_, {format().dtype, n_rows, ColsOf(n_blocks)}, rng);
        const auto n_in = static_cast<size_t>(n_tokens * ColsOf(n_blocks));
        const bool has_bias = seed % 2 == 0;
        ExpectNearReference(weight, GridActivations(n_in, rng), n_tokens,
                            NormalActivations(has_bias ? static_cast<size_t>(n_rows) : 0, rng), {},
                            IsQuantized(format()) ? kPromptTolerance : kFloatTolerance, *rig_,
                            n_prompt_tokens);
        if (HasFatalFailure()) return;
      }
    }
  }
}

// Sums of products in few bits hold the greatest codes times the greatest activations: all of one
// sign, as unsigned codes have it, and with the signs of the weights of the rows that are greatest.
TEST_P(MatmulTest, HoldsTheGreatestProducts) {
  constexpr int kTokens = 16;
  constexpr size_t kCols = 256;
  std::mt19937 rng(22);
  PackedMatrix weight(*rig_, {format().dtype, 256, kCols},
                      testing::UniformWeights(format().dtype, kCols, rng));
  std::vector<float> values(256 * kCols);
  format().dequantize(weight.file_rows().data(), values.size() / format().block_elements,
                      values.data());
  std::vector<std::pair<float, size_t>> rows;
  for (size_t r = 0; r < 256; ++r) {
    float sum = 0.0f;
    for (size_t k = 0; k < kCols; ++k) sum += std::abs(values[r * kCols + k]);
    rows.emplace_back(sum, r);
  }
  std::sort(rows.rbegin(), rows.rend());
  std::vector<float> x;
  for (size_t t = 0; t < kTokens; ++t)
    for (size_t k = 0; k < kCols; ++k)
      x.push_back(std::copysign(127.0f, t == 0   ? 1.0f
                                        : t == 1 ? -1.0f
                                                 : values[rows[t - 2].second * kCols + k]));
  ExpectNearReference(weight, x, kTokens, {}, {}, kFloatTolerance, *rig_);
  for (size_t t = 0; t < kTokens; ++t)
    ExpectNearReference(weight,
                        {x.begin() + static_cast<int64_t>(t * kCols),
                         x.begin() + static_cast<int64_t>((t + 1) * kCols)},
                        1, {}, {}, kFloatTolerance, *rig_);
}

TEST_P(MatmulTest, RoundsActivationsToEightBitsAtMost) {
  const uint32_t seed = 21;
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 rng(seed);
  PackedMatrix weight(*rig_, {format().dtype, 48, 1024}, rng);
  ExpectNearReference(weight, NormalActivations(3 * 1024, rng), 3, {}, {},
                      IsQuantized(format()) ? kRoundingTolerance : kFloatTolerance, *rig_);
  ExpectNearReference(weight, NormalActivations(19 * 1024, rng), 19, {}, {},
                      IsQuantized(format()) ? kRoundingTolerance : kTwoDigitTolerance, *rig_, 19);
}

TEST_P(MatmulTest, GivesATokenTheSameBitsInEveryBatchAndOnEveryPool) {
  const uint32_t seed = 31;
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 rng(seed);
  // Several spans of tokens, the last tile not full.
  const int n_all = rig_->runs_on_threads() ? 150 : 75;
  constexpr int64_t kRows = 40;
  constexpr int64_t kCols = 4096;
  PackedMatrix weight(*rig_, {format().dtype, kRows, kCols}, rng);
  const std::vector<float> x = NormalActivations(static_cast<size_t>(n_all * kCols), rng);
  const std::unique_ptr<OpRig> one_thread = device().Create(1);

  std::vector<float> one_by_one;
  for (int t = 0; t < n_all; ++t) {
    const auto y = Multiply(weight, x.data() + t * kCols, 1, nullptr, nullptr, *one_thread);
    one_by_one.insert(one_by_one.end(), y.begin(), y.end());
  }
  const auto all = Multiply(weight, x.data(), n_all, nullptr, nullptr, *rig_);
  for (const int n_tokens : {2, 3, 4, 5, 6, 7, 8, 9, 16, 27, 40, 75, n_all}) {
    const auto y = Multiply(weight, x.data(), n_tokens, nullptr, nullptr, *rig_);
    const auto& want = n_tokens <= rig_->max_equal_tokens() ? one_by_one : all;
    EXPECT_EQ(0, std::memcmp(y.data(), want.data(), y.size() * sizeof(float)))
        << n_tokens << " tokens";
  }
}

// Of a prompt other bits than of what is generated, perhaps, but always those.
TEST_P(MatmulTest, GivesATokenOfAPromptTheSameBitsInEveryStep) {
  if (!rig_->runs_on_threads()) GTEST_SKIP() << "a GPU has one way for all tokens";
  std::mt19937 rng(32);
  constexpr int kTokens = 75;
  constexpr int64_t kRows = 72;
  constexpr int64_t kCols = 4096;
  PackedMatrix weight(*rig_, {format().dtype, kRows, kCols}, rng);
  const std::vector<float> x = NormalActivations(kTokens * kCols, rng);
  const auto multiply = [&](int first, int n_tokens, int n_prompt_tokens) {
    return Multiply(weight, x.data() + first * kCols, n_tokens, nullptr, nullptr, *rig_,
                    n_prompt_tokens);
  };
  const auto all = multiply(0, kTokens, kTokens);
  const auto generated = multiply(0, kTokens, 0);
  for (const auto& [n_tokens, n_prompt_tokens] : std::vector<std::pair<int, int>>{
           {1, 1}, {2, 1}, {8, 8}, {17, 5}, {35, 33}, {40, 1}, {75, 40}, {75, 74}}) {
    for (const int first : {0, kTokens - n_tokens}) {
      const auto y = multiply(first, n_tokens, n_prompt_tokens);
      for (int t = 0; t < n_tokens; ++t) {
        const auto& rows = t < n_tokens - n_prompt_tokens ? generated : all;
        const void* got = y.data() + t * kRows;
        const void* want = rows.data() + (first + t) * kRows;
        EXPECT_EQ(0, std::memcmp(got, want, kRows * sizeof(float)))
            << "token " << t << " of " << n_tokens << ", " << n_prompt_tokens << " of a prompt";
      }
    }
  }
}

TEST_P(MatmulTest, ShowsActivationsThatAreNotFinite) {
  std::mt19937 rng(41);
  PackedMatrix weight(*rig_, {format().dtype, 16, 256}, rng);
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    std::vector<float> x(2 * 256, 1.0f);
    x[100] = bad;
    for (const int n_prompt_tokens : {0, 2}) {
      const auto y = Multiply(weight, x.data(), 2, nullptr, nullptr, *rig_, n_prompt_tokens);
      for (size_t r = 0; r < 16; ++r) {
        EXPECT_FALSE(std::isfinite(y[r])) << "row " << r;
        EXPECT_TRUE(std::isfinite(y[16 + r])) << "row " << r << " of the other token";
      }
    }
  }
}

TEST_P(MatmulTest, MultipliesTinyAndZeroActivations) {
  std::mt19937 rng(42);
  PackedMatrix weight(*rig_, {format().dtype, 16, 256}, rng);
  std::vector<float> x(256, 0.0f);
  x[5] = std::numeric_limits<float>::denorm_min();
  x[40] = 1e-36f;
  for (const int n_prompt_tokens : {0, 1})
    for (const float y : Multiply(weight, x.data(), 1, nullptr, nullptr, *rig_, n_prompt_tokens))
      EXPECT_NEAR(y, 0.0f, 1e-30f);
}

INSTANTIATE_TEST_SUITE_P(EveryDeviceAndFormat, MatmulTest,
                         ::testing::Combine(::testing::ValuesIn(testing::OpRigKinds()),
                                            ::testing::ValuesIn(KnownFormats())),
                         [](const auto& test) {
                           return std::get<0>(test.param).name + "_" +
                                  std::string(std::get<1>(test.param).name);
                         });

// --- What does not depend on the format

class MatmulArgsTest : public ::testing::TestWithParam<testing::OpRigKind> {
 protected:
  static constexpr int kTokens = 21;
  static constexpr int64_t kCols = 512;

  MatmulArgs Args(int n_tokens) {
    MatmulArgs args;
    args.x = x_.data();
    args.n_tokens = n_tokens;
    args.workspace = {workspace_.data(), workspace_.size()};
    return args;
  }

  std::mt19937 rng_{51};
  std::unique_ptr<OpRig> rig_ = GetParam().Create();
  std::vector<float> x_ = NormalActivations(kTokens * kCols, rng_);
  GuardedBytes workspace_{rig_->MatmulWorkspaceBytes(kTokens, kCols)};
};

TEST_P(MatmulArgsTest, MultipliesThreeMatricesOfDifferentFormatsAtOnce) {
  for (const DType v_type : {Q6_K::kDType, Q2_K::kDType}) {
    PackedMatrix q(*rig_, {Q4_K::kDType, 100, kCols}, rng_);
    PackedMatrix k(*rig_, {F16Format::kDType, 17, kCols}, rng_);
    PackedMatrix v(*rig_, {v_type, 33, kCols}, rng_);
    PackedMatrix* matrices[] = {&q, &k, &v};
    MatmulArgs args = Args(kTokens);
    std::vector<std::vector<float>> y;
    for (PackedMatrix* matrix : matrices)
      y.emplace_back(static_cast<size_t>(kTokens * matrix->shape().n_rows));
    args.n_targets = 3;
    for (size_t i = 0; i < 3; ++i)
      args.targets[i] = {matrices[i]->view(), nullptr, nullptr, y[i].data()};
    for (const int n_prompt_tokens : {0, 4, kTokens}) {
      args.n_prompt_tokens = n_prompt_tokens;
      ASSERT_TRUE(rig_->Run(args).ok());
      for (size_t i = 0; i < 3; ++i)
        EXPECT_EQ(y[i], Multiply(*matrices[i], x_.data(), kTokens, nullptr, nullptr, *rig_,
                                 n_prompt_tokens))
            << "target " << i << ", " << n_prompt_tokens << " tokens of a prompt";
      EXPECT_TRUE(workspace_.IsIntact());
    }
  }
}

TEST_P(MatmulArgsTest, AddsToAResidualInPlace) {
  PackedMatrix weight(*rig_, {Q8_0::kDType, 33, kCols}, rng_);
  const std::vector<float> residual = NormalActivations(kTokens * 33, rng_);
  for (const int n_prompt_tokens : {0, 4, kTokens}) {
    std::vector<float> y = residual;
    MatmulArgs args = Args(kTokens);
    args.n_prompt_tokens = n_prompt_tokens;
    args.n_targets = 1;
    args.targets[0] = {weight.view(), nullptr, y.data(), y.data()};
    ASSERT_TRUE(rig_->Run(args).ok());
    EXPECT_EQ(
        y, Multiply(weight, x_.data(), kTokens, nullptr, residual.data(), *rig_, n_prompt_tokens));
  }
}

TEST_P(MatmulArgsTest, DoesNothingForNoTokens) {
  PackedMatrix weight(*rig_, {Q8_0::kDType, 33, kCols}, rng_);
  float y = 7.0f;
  MatmulArgs args = Args(0);
  args.n_targets = 1;
  args.targets[0] = {weight.view(), nullptr, nullptr, &y};
  EXPECT_TRUE(rig_->Run(args).ok());
  EXPECT_EQ(y, 7.0f);
}

TEST_P(MatmulArgsTest, RefusesMorePromptTokensThanTokens) {
  PackedMatrix weight(*rig_, {Q8_0::kDType, 16, kCols}, rng_);
  std::vector<float> y(kTokens * 16, 7.0f);
  MatmulArgs args = Args(kTokens);
  args.n_targets = 1;
  args.targets[0] = {weight.view(), nullptr, nullptr, y.data()};
  for (const int n_prompt_tokens : {-1, kTokens + 1}) {
    args.n_prompt_tokens = n_prompt_tokens;
    EXPECT_EQ(rig_->Run(args).code(), StatusCode::kInvalidArgument);
  }
  EXPECT_EQ(y, std::vector<float>(y.size(), 7.0f));
}

TEST_P(MatmulArgsTest, RefusesAWorkspaceThatIsTooSmall) {
  PackedMatrix weight(*rig_, {Q8_0::kDType, 16, kCols}, rng_);
  std::vector<float> y(kTokens * 16, 7.0f);
  MatmulArgs args = Args(kTokens);
  args.n_targets = 1;
  args.targets[0] = {weight.view(), nullptr, nullptr, y.data()};
  args.workspace.bytes -= 1;
  EXPECT_EQ(rig_->Run(args).code(), StatusCode::kInvalidArgument);
  args.workspace = {};
  EXPECT_EQ(rig_->Run(args).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(y, std::vector<float>(y.size(), 7.0f));
}

TEST_P(MatmulArgsTest, NeedsNoWorkspaceForFloatWeights) {
  PackedMatrix weight(*rig_, {F32Format::kDType, 16, kCols}, rng_);
  std::vector<float> y(kTokens * 16);
  MatmulArgs args = Args(kTokens);
  args.n_targets = 1;
  args.targets[0] = {weight.view(), nullptr, nullptr, y.data()};
  args.workspace = {};
  EXPECT_TRUE(rig_->Run(args).ok());
}

TEST_P(MatmulArgsTest, NeedsAWorkspaceThatGrowsWithTokensAndColumns) {
  EXPECT_EQ(rig_->MatmulWorkspaceBytes(0, 512), 0u);
  EXPECT_EQ(rig_->MatmulWorkspaceBytes(4, 0), 0u);
  EXPECT_EQ(rig_->MatmulWorkspaceBytes(-1, 512), 0u);
  EXPECT_GT(rig_->MatmulWorkspaceBytes(1, 512), 0u);
  EXPECT_GT(rig_->MatmulWorkspaceBytes(3, 512), rig_->MatmulWorkspaceBytes(2, 512));
  EXPECT_EQ(rig_->MatmulWorkspaceBytes(1, 33), rig_->MatmulWorkspaceBytes(1, 64));
}

// The NaN whose mantissa is all ones: rounding it as a number would make it zero.
TEST_P(MatmulArgsTest, ShowsWeightsThatAreNotNumbers) {
  for (const DType dtype : {F16Format::kDType, Bf16Format::kDType, Q8_0::kDType, Q4_0::kDType}) {
    std::vector<std::byte> rows = testing::RandomWeights(dtype, 16, 64, rng_);
    for (size_t i = 0; i < 2; ++i) rows[i] = i == 0 ? std::byte{0xff} : std::byte{0x7f};
    PackedMatrix weight(*rig_, {dtype, 16, 64}, std::move(rows));
    const std::vector<float> x = NormalActivations(2 * 64, rng_);
    for (const int n_prompt_tokens : {0, 2}) {
      const auto y = Multiply(weight, x.data(), 2, nullptr, nullptr, *rig_, n_prompt_tokens);
      for (size_t i = 0; i < y.size(); ++i)
        EXPECT_EQ(std::isnan(y[i]), i % 16 == 0) << FindFormat(dtype)->name << ", value " << i;
    }
  }
}

// MXFP4's scales are powers of two, down to subnormal ones.
TEST_P(MatmulArgsTest, MultipliesSubnormalPowersOfTwo) {
  std::mt19937 rng(43);
  std::vector<std::byte> rows = testing::RandomWeights(MXFP4::kDType, 16, 64, rng);
  for (size_t i = 0; i < rows.size(); i += sizeof(MXFP4::Block))
    rows[i] = static_cast<std::byte>(i / sizeof(MXFP4::Block) % 3);
  PackedMatrix weight(*rig_, {MXFP4::kDType, 16, 64}, std::move(rows));
  ExpectNearReference(weight, GridActivations(64, rng), 1, {}, {}, kFloatTolerance, *rig_);
}

INSTANTIATE_TEST_SUITE_P(Devices, MatmulArgsTest, ::testing::ValuesIn(testing::OpRigKinds()),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace forge
