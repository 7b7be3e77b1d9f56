#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "kernels/reference/matmul.h"
#include "tests/kernels/packed_matrix.h"

namespace forge {
namespace {

using testing::GuardedBytes;
using testing::OpRig;

std::vector<float> NormalFloats(size_t n, std::mt19937& rng) {
  std::normal_distribution<float> normal;
  std::vector<float> x(n);
  std::generate(x.begin(), x.end(), [&] { return normal(rng); });
  return x;
}

std::vector<int32_t> RandomExperts(size_t n, int n_experts, std::mt19937& rng) {
  std::vector<int32_t> experts(n);
  for (int32_t& expert : experts)
    expert = static_cast<int32_t>(rng() % static_cast<uint32_t>(n_experts));
  return experts;
}

// The matrices of all experts, with memory between them that belongs to none.
class PackedExperts {
 public:
  PackedExperts(OpRig& rig, const WeightShape& shape, int n_experts, std::mt19937& rng)
      : shape_(shape),
        n_experts_(n_experts),
        stride_(rig.PackedWeightBytes(shape).value() + 64),
        packed_(stride_ * static_cast<uint64_t>(n_experts)) {
    for (int e = 0; e < n_experts; ++e) {
      file_rows_.push_back(testing::RandomWeights(shape.dtype, shape.n_rows, shape.n_cols, rng));
      EXPECT_TRUE(rig.PackRows(shape, file_rows_.back().data(), expert_data(e)).ok());
    }
  }

  const WeightShape& shape() const { return shape_; }
  int n_experts() const { return n_experts_; }
  const std::byte* file_rows(int expert) const {
    return file_rows_[static_cast<size_t>(expert)].data();
  }
  WeightView view_of(int expert) { return {expert_data(expert), shape_}; }
  ExpertWeights view() { return {view_of(0), stride_, n_experts_}; }

 private:
  std::byte* expert_data(int e) { return packed_.data() + static_cast<uint64_t>(e) * stride_; }

  WeightShape shape_;
  int n_experts_;
  uint64_t stride_;
  GuardedBytes packed_;
  std::vector<std::vector<std::byte>> file_rows_;
};

// Activations, and the experts chosen for each of their rows.
struct Pairs {
  std::vector<float> x;
  int n_x_rows;
  int pairs_per_row;
  std::vector<int32_t> experts;
};

Pairs RandomPairs(int n_x_rows, int pairs_per_row, int64_t n_cols, int n_experts,
                  std::mt19937& rng) {
  return {NormalFloats(static_cast<size_t>(n_x_rows * n_cols), rng), n_x_rows, pairs_per_row,
          RandomExperts(static_cast<size_t>(n_x_rows * pairs_per_row), n_experts, rng)};
}

std::vector<std::vector<float>> Multiply(const std::vector<PackedExperts*>& weights,
                                         const std::vector<const float*>& biases,
                                         const Pairs& pairs, OpRig& rig) {
  const WeightShape& shape = weights[0]->shape();
  GuardedBytes workspace(rig.ExpertMatmulWorkspaceBytes(static_cast<int>(pairs.experts.size()),
                                                        shape.n_cols, weights[0]->n_experts()));
  ExpertMatmulArgs args;
  args.x = pairs.x.data();
  args.n_x_rows = pairs.n_x_rows;
  args.pairs_per_row = pairs.pairs_per_row;
  args.experts = pairs.experts.data();
  args.n_targets = static_cast<int>(weights.size());
  args.workspace = {workspace.data(), workspace.size()};
  std::vector<std::unique_ptr<GuardedBytes>> y;
  for (size_t i = 0; i < weights.size(); ++i) {
    const auto n_rows = static_cast<uint64_t>(weights[i]->shape().n_rows);
    y.push_back(std::make_unique<GuardedBytes>(pairs.experts.size() * n_rows * sizeof(float)));
    args.targets[i] = {weights[i]->view(), biases[i], reinterpret_cast<float*>(y[i]->data())};
  }
  const Status status = rig.Run(args);
  EXPECT_TRUE(status.ok()) << status.ToString();
  EXPECT_TRUE(workspace.IsIntact());
  std::vector<std::vector<float>> results;
  for (const auto& bytes : y) {
    EXPECT_TRUE(bytes->IsIntact());
    const auto* values = reinterpret_cast<const float*>(bytes->data());
    results.emplace_back(values, values + bytes->size() / sizeof(float));
  }
  return results;
}

// What Matmul gives for each pair alone.
std::vector<float> MultiplyOneByOne(PackedExperts& weights, const float* bias, const Pairs& pairs,
                                    OpRig& rig) {
  const WeightShape& shape = weights.shape();
  std::vector<float> y(pairs.experts.size() * static_cast<size_t>(shape.n_rows));
  GuardedBytes workspace(rig.MatmulWorkspaceBytes(1, shape.n_cols));
  for (size_t i = 0; i < pairs.experts.size(); ++i) {
    const int32_t expert = pairs.experts[i];
    MatmulArgs args;
    args.x = pairs.x.data() + static_cast<int64_t>(i) / pairs.pairs_per_row * shape.n_cols;
    args.n_tokens = 1;
    args.n_targets = 1;
    args.targets[0].weight = weights.view_of(expert);
    args.targets[0].bias = bias == nullptr ? nullptr : bias + expert * shape.n_rows;
    args.targets[0].y = y.data() + static_cast<int64_t>(i) * shape.n_rows;
    args.workspace = {workspace.data(), workspace.size()};
    EXPECT_TRUE(rig.Run(args).ok());
  }
  return y;
}

// The same bits, or nearly the same numbers where the step has so many pairs for an expert that the
// device may add in another order.
::testing::AssertionResult IsSame(const std::vector<float>& y, const std::vector<float>& want,
                                  const Pairs& of_step, int n_experts, const OpRig& rig) {
  const auto n_pairs = static_cast<int64_t>(of_step.experts.size());
  if (n_pairs <= int64_t{rig.max_equal_pairs()} * n_experts) {
    if (std::memcmp(y.data(), want.data(), want.size() * sizeof(float)) == 0)
      return ::testing::AssertionSuccess();
    return ::testing::AssertionFailure() << "bits differ";
  }
  float greatest = 0.0f;
  for (const float value : want) greatest = std::max(greatest, std::abs(value));
  for (size_t i = 0; i < want.size(); ++i)
    if (!(std::abs(y[i] - want[i]) <= 1e-5f * greatest))
      return ::testing::AssertionFailure() << i << ": " << y[i] << " and " << want[i];
  return ::testing::AssertionSuccess();
}

class ExpertMatmulTest
    : public ::testing::TestWithParam<std::tuple<testing::OpRigKind, FormatInfo>> {
 protected:
  const testing::OpRigKind& device() const { return std::get<testing::OpRigKind>(GetParam()); }
  const FormatInfo& format() const { return std::get<FormatInfo>(GetParam()); }
  bool is_quantized() const { return format().block_elements > 1; }
  int64_t ColsOf(int64_t n_blocks) const {
    return is_quantized() ? n_blocks * format().block_elements : n_blocks * 33;
  }

  std::unique_ptr<OpRig> rig_ = device().Create(3);
};

TEST_P(ExpertMatmulTest, GivesEachPairTheBitsOfAPlainMatmul) {
  uint32_t seed = 1;
  for (const int n_experts : {1, 4, 33}) {
    for (const auto& [n_x_rows, pairs_per_row] :
         std::vector<std::pair<int, int>>{{1, 1}, {1, 4}, {2, 3}, {7, 2}, {40, 1}, {70, 2}}) {
      for (const int64_t n_rows : {1, 17, 100}) {
        SCOPED_TRACE("n_experts " + std::to_string(n_experts) + ", n_x_rows " +
                     std::to_string(n_x_rows) + ", pairs_per_row " + std::to_string(pairs_per_row) +
                     ", n_rows " + std::to_string(n_rows) + ", seed " + std::to_string(seed));
        std::mt19937 rng(seed);
        PackedExperts weights(*rig_, {format().dtype, n_rows, ColsOf(2)}, n_experts, rng);
        const Pairs pairs = RandomPairs(n_x_rows, pairs_per_row, ColsOf(2), n_experts, rng);
        const std::vector<float> bias = NormalFloats(static_cast<size_t>(n_rows * n_experts), rng);
        const float* bias_or_null = seed++ % 2 == 0 ? bias.data() : nullptr;
        const auto y = Multiply({&weights}, {bias_or_null}, pairs, *rig_);
        const auto want = MultiplyOneByOne(weights, bias_or_null, pairs, *rig_);
        ASSERT_TRUE(IsSame(y[0], want, pairs, n_experts, *rig_));
      }
    }
  }
}

TEST_P(ExpertMatmulTest, MatchesTheReference) {
  const uint32_t seed = 7;
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 rng(seed);
  constexpr int64_t kRows = 48;
  constexpr int kExperts = 5;
  const int64_t n_cols = ColsOf(4);
  PackedExperts weights(*rig_, {format().dtype, kRows, n_cols}, kExperts, rng);
  const Pairs pairs = RandomPairs(30, 2, n_cols, kExperts, rng);
  const std::vector<float> bias = NormalFloats(kExperts * kRows, rng);
  const auto y = Multiply({&weights}, {bias.data()}, pairs, *rig_);
  // A value rounded to int8 is off by up to 1/254 of its block's largest; see matmul_test.cpp.
  const double share = is_quantized() ? 1.0 / 254 : 4e-6;
  for (size_t i = 0; i < pairs.experts.size(); ++i) {
    const int32_t expert = pairs.experts[i];
    const float* x = pairs.x.data() + static_cast<int64_t>(i) / 2 * n_cols;
    std::vector<double> want(kRows);
    ReferenceMatmul(format().dtype, weights.file_rows(expert), kRows, n_cols, x, 1,
                    bias.data() + expert * kRows, nullptr, want.data());
    std::vector<float> values(static_cast<size_t>(kRows * n_cols));
    format().dequantize(weights.file_rows(expert), values.size() / format().block_elements,
                        values.data());
    double largest = 0.0, magnitude = 0.0;
    for (const float value : values)
      largest = std::max(largest, std::abs(static_cast<double>(value)));
    for (int64_t k = 0; k < n_cols; ++k) magnitude += std::abs(static_cast<double>(x[k]));
    for (size_t r = 0; r < kRows; ++r)
      ASSERT_NEAR(static_cast<double>(y[0][i * kRows + r]), want[r],
                  share * magnitude * largest + 1e-5)
          << "pair " << i << ", row " << r;
  }
}

TEST_P(ExpertMatmulTest, GivesAPairTheSameBitsInEveryStepAndOnEveryPool) {
  const uint32_t seed = 11;
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 rng(seed);
  constexpr int64_t kRows = 40;
  constexpr int kExperts = 3, kTokens = 150, kUsed = 2;  // several spans of some expert's pairs
  constexpr int64_t kCols = 4096;
  PackedExperts weights(*rig_, {format().dtype, kRows, kCols}, kExperts, rng);
  const Pairs pairs = RandomPairs(kTokens, kUsed, kCols, kExperts, rng);
  const std::unique_ptr<OpRig> one_thread = device().Create(1);
  const auto together = Multiply({&weights}, {nullptr}, pairs, *rig_)[0];
  for (const auto& [first, n] :
       std::vector<std::pair<int, int>>{{0, 1}, {1, 2}, {5, 9}, {20, 40}, {0, kTokens}}) {
    Pairs some = {
        {pairs.x.begin() + first * kCols, pairs.x.begin() + (first + n) * kCols},
        n,
        kUsed,
        {pairs.experts.begin() + first * kUsed, pairs.experts.begin() + (first + n) * kUsed}};
    const auto y = Multiply({&weights}, {nullptr}, some, *one_thread)[0];
    const float* part = together.data() + first * kUsed * kRows;
    ASSERT_TRUE(IsSame(y, {part, part + y.size()}, pairs, kExperts, *rig_))
        << "tokens " << first << " + " << n;
  }
}

INSTANTIATE_TEST_SUITE_P(EveryDeviceAndFormat, ExpertMatmulTest,
                         ::testing::Combine(::testing::ValuesIn(testing::OpRigKinds()),
                                            ::testing::ValuesIn(KnownFormats())),
                         [](const auto& test) {
                           return std::get<0>(test.param).name + "_" +
                                  std::string(std::get<1>(test.param).name);
                         });

// --- What does not depend on the format

class ExpertMatmulArgsTest : public ::testing::TestWithParam<testing::OpRigKind> {
 protected:
  static constexpr int kExperts = 6;
  static constexpr int64_t kCols = 512;

  std::mt19937 rng_{51};
  std::unique_ptr<OpRig> rig_ = GetParam().Create();
};

TEST_P(ExpertMatmulArgsTest, MultipliesTwoMatricesOfDifferentFormatsAtOnce) {
  for (const auto& [gate_type, up_type] :
       std::vector<std::pair<DType, DType>>{{Q4_K::kDType, Q6_K::kDType},
                                            {Q4_K::kDType, Q2_K::kDType},
                                            {Q8_0::kDType, F16Format::kDType},
                                            {F32Format::kDType, Q4_0::kDType},
                                            {F32Format::kDType, Bf16Format::kDType}}) {
    PackedExperts gate(*rig_, {gate_type, 100, kCols}, kExperts, rng_);
    PackedExperts up(*rig_, {up_type, 33, kCols}, kExperts, rng_);
    const std::vector<float> bias = NormalFloats(kExperts * 33, rng_);
    for (const auto& [n_x_rows, pairs_per_row] :
         std::vector<std::pair<int, int>>{{1, 4}, {7, 3}, {13, 1}, {61, 2}}) {
      const Pairs pairs = RandomPairs(n_x_rows, pairs_per_row, kCols, kExperts, rng_);
      const auto y = Multiply({&gate, &up}, {nullptr, bias.data()}, pairs, *rig_);
      SCOPED_TRACE(std::to_string(n_x_rows) + " rows");
      EXPECT_TRUE(
          IsSame(y[0], MultiplyOneByOne(gate, nullptr, pairs, *rig_), pairs, kExperts, *rig_));
      EXPECT_TRUE(
          IsSame(y[1], MultiplyOneByOne(up, bias.data(), pairs, *rig_), pairs, kExperts, *rig_));
    }
  }
}

TEST_P(ExpertMatmulArgsTest, MultipliesWhenAllPairsChooseOneExpert) {
  PackedExperts weights(*rig_, {Q4_0::kDType, 64, kCols}, kExperts, rng_);
  Pairs pairs = RandomPairs(300, 1, kCols, kExperts, rng_);
  std::fill(pairs.experts.begin(), pairs.experts.end(), kExperts - 1);
  const auto y = Multiply({&weights}, {nullptr}, pairs, *rig_)[0];
  const auto want = MultiplyOneByOne(weights, nullptr, pairs, *rig_);
  for (size_t i = 0; i < y.size(); ++i) ASSERT_NEAR(y[i], want[i], 1e-3f) << i;
}

TEST_P(ExpertMatmulArgsTest, TakesNoRowsAsNoWorkAndRefusesBadArguments) {
  PackedExperts weights(*rig_, {Q8_0::kDType, 20, kCols}, kExperts, rng_);
  PackedExperts narrow(*rig_, {Q8_0::kDType, 20, 256}, kExperts, rng_);
  PackedExperts few(*rig_, {Q8_0::kDType, 20, kCols}, kExperts - 1, rng_);
  Pairs pairs = RandomPairs(3, 2, kCols, kExperts, rng_);
  std::vector<float> y(2 * 6 * 20, 7.0f);
  GuardedBytes workspace(rig_->ExpertMatmulWorkspaceBytes(6, kCols, kExperts));
  const auto code_with = [&](auto change) {
    ExpertMatmulArgs args;
    args.x = pairs.x.data();
    args.n_x_rows = 3;
    args.pairs_per_row = 2;
    args.experts = pairs.experts.data();
    args.n_targets = 2;
    args.targets[0] = {weights.view(), nullptr, y.data()};
    args.targets[1] = {weights.view(), nullptr, y.data() + 6 * 20};
    args.workspace = {workspace.data(), workspace.size()};
    change(args);
    return rig_->Run(args).code();
  };
  using Args = ExpertMatmulArgs;
  const StatusCode refused = StatusCode::kInvalidArgument;
  EXPECT_EQ(code_with([](Args& a) { a.x = nullptr; }), refused);
  EXPECT_EQ(code_with([](Args& a) { a.experts = nullptr; }), refused);
  EXPECT_EQ(code_with([](Args& a) { a.n_x_rows = -1; }), refused);
  EXPECT_EQ(code_with([](Args& a) { a.pairs_per_row = 0; }), refused);
  EXPECT_EQ(code_with([](Args& a) { a.n_x_rows = 1 << 30; }), refused);
  EXPECT_EQ(code_with([](Args& a) { a.n_targets = 0; }), refused);
  EXPECT_EQ(code_with([](Args& a) { a.n_targets = 3; }), refused);
  EXPECT_EQ(code_with([](Args& a) { a.targets[1].y = nullptr; }), refused);
  EXPECT_EQ(code_with([](Args& a) { a.targets[1].weights.first.data = nullptr; }), refused);
  EXPECT_EQ(code_with([](Args& a) { a.targets[1].weights.n_experts = 0; }), refused);
  EXPECT_EQ(code_with([](Args& a) { a.targets[1].weights.stride_bytes = 0; }), refused);
  EXPECT_EQ(code_with([](Args& a) { a.targets[1].weights.stride_bytes -= 128; }), refused);
  EXPECT_EQ(code_with([](Args& a) { a.targets[1].weights.stride_bytes += 1; }), refused);
  EXPECT_EQ(code_with([&](Args& a) { a.targets[1].weights = narrow.view(); }), refused);
  EXPECT_EQ(code_with([&](Args& a) { a.targets[1].weights = few.view(); }), refused);
  EXPECT_EQ(code_with([](Args& a) { a.workspace.bytes -= 1; }), refused);
  EXPECT_EQ(code_with([](Args& a) { a.workspace.data = nullptr; }), refused);
  for (const int32_t bad : {-1, kExperts, 1 << 30}) {
    if (!rig_->refuses_indices()) break;
    const int32_t good = std::exchange(pairs.experts[4], bad);
    EXPECT_EQ(code_with([](Args&) {}), refused) << bad;
    pairs.experts[4] = good;
  }
  EXPECT_EQ(y, std::vector<float>(y.size(), 7.0f));
  EXPECT_EQ(code_with([](Args& a) { a.n_x_rows = 0; }), StatusCode::kOk);
  EXPECT_EQ(code_with([](Args&) {}), StatusCode::kOk);
}

// A device that cannot look at the indices gives NaN to these pairs and to no other.
TEST_P(ExpertMatmulArgsTest, GivesNanWhereThereIsNoSuchExpert) {
  if (rig_->refuses_indices()) GTEST_SKIP() << "this device refuses them";
  for (const auto& [dtype, n_x_rows] : std::vector<std::pair<DType, int>>{
           {Q8_0::kDType, 30}, {F32Format::kDType, 30}, {Q8_0::kDType, 120}}) {
    PackedExperts weights(*rig_, {dtype, 20, kCols}, kExperts, rng_);
    Pairs pairs = RandomPairs(n_x_rows, 2, kCols, kExperts, rng_);
    const auto want = Multiply({&weights}, {nullptr}, pairs, *rig_)[0];
    for (const auto& [pair, bad] : std::vector<std::pair<size_t, int32_t>>{
             {3, -1}, {10, kExperts}, {11, kExperts + 1}, {59, 1 << 30}})
      pairs.experts[pair] = bad;
    const auto y = Multiply({&weights}, {nullptr}, pairs, *rig_)[0];
    for (size_t i = 0; i < y.size(); ++i) {
      const int32_t expert = pairs.experts[i / 20];
      if (expert >= 0 && expert < kExperts)
        ASSERT_EQ(y[i], want[i]) << i;
      else
        ASSERT_TRUE(std::isnan(y[i])) << i;
    }
  }
}

TEST_P(ExpertMatmulArgsTest, NeedsAWorkspaceThatGrowsWithEachLimit) {
  const uint64_t bytes = rig_->ExpertMatmulWorkspaceBytes(8, 512, 16);
  EXPECT_EQ(rig_->ExpertMatmulWorkspaceBytes(0, 512, 16), 0u);
  EXPECT_EQ(rig_->ExpertMatmulWorkspaceBytes(8, 0, 16), 0u);
  EXPECT_EQ(rig_->ExpertMatmulWorkspaceBytes(8, 512, -1), 0u);
  EXPECT_GE(rig_->ExpertMatmulWorkspaceBytes(9, 512, 16), bytes);
  EXPECT_GE(rig_->ExpertMatmulWorkspaceBytes(8, 544, 16), bytes);
  EXPECT_GE(rig_->ExpertMatmulWorkspaceBytes(8, 512, 100), bytes);
}

INSTANTIATE_TEST_SUITE_P(Devices, ExpertMatmulArgsTest, ::testing::ValuesIn(testing::OpRigKinds()),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace forge
