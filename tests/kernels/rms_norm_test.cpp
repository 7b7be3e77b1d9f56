#include "kernels/reference/reference.h"
#include "tests/kernels/op_test.h"

namespace forge {
namespace {

using testing::GuardedArray;
using testing::OpRig;

class RmsNormTest : public ::testing::TestWithParam<testing::OpRigKind> {};

void CheckShape(OpRig& rig, int n_rows, int dim, uint32_t seed) {
  SCOPED_TRACE("n_rows " + std::to_string(n_rows) + ", dim " + std::to_string(dim) + ", seed " +
               std::to_string(seed));
  std::mt19937 random(seed);
  const auto n = static_cast<size_t>(n_rows) * static_cast<size_t>(dim);
  const std::vector<float> x = testing::NormalFloats(n, random, 3.0f);
  const std::vector<float> weight = testing::NormalFloats(static_cast<size_t>(dim), random);
  std::vector<double> want(n);
  ReferenceRmsNorm(x.data(), weight.data(), nullptr, want.data(), n_rows, dim, 1e-5f);

  GuardedArray<float> y(n);
  RmsNormArgs args = {.x = x.data(),
                      .weight = weight.data(),
                      .y = y.data(),
                      .n_rows = n_rows,
                      .dim = dim,
                      .epsilon = 1e-5f};
  ASSERT_TRUE(rig.Run(args).ok());
  EXPECT_TRUE(testing::Near(y.span(), want, testing::kRmsNormTolerance));
  EXPECT_TRUE(y.GuardsIntact());

  GuardedArray<float> in_place(n);
  in_place.Assign(x);
  args.x = args.y = in_place.data();
  ASSERT_TRUE(rig.Run(args).ok());
  EXPECT_EQ(std::memcmp(in_place.data(), y.data(), n * sizeof(float)), 0);
}

TEST_P(RmsNormTest, MatchesReferenceForEveryLength) {
  const std::unique_ptr<OpRig> rig = GetParam().Create();
  uint32_t seed = 1;
  for (const int dim : testing::Lengths())
    for (const int n_rows : {1, 3}) CheckShape(*rig, n_rows, dim, seed++);
  CheckShape(*rig, 300, 257, seed);
}

TEST_P(RmsNormTest, AddsToAResidualAlsoInPlace) {
  const std::unique_ptr<OpRig> rig = GetParam().Create();
  uint32_t seed = 100;
  for (const int dim : testing::Lengths()) {
    for (const int n_rows : {1, 5}) {
      SCOPED_TRACE("n_rows " + std::to_string(n_rows) + ", dim " + std::to_string(dim) + ", seed " +
                   std::to_string(seed));
      std::mt19937 random(seed++);
      const auto n = static_cast<size_t>(n_rows) * static_cast<size_t>(dim);
      const std::vector<float> x = testing::NormalFloats(n, random, 3.0f);
      const std::vector<float> residual = testing::NormalFloats(n, random, 2.0f);
      const std::vector<float> weight = testing::NormalFloats(static_cast<size_t>(dim), random);
      std::vector<double> want(n);
      ReferenceRmsNorm(x.data(), weight.data(), residual.data(), want.data(), n_rows, dim, 1e-6f);
      GuardedArray<float> y(n);
      RmsNormArgs args = {.x = x.data(),
                          .weight = weight.data(),
                          .residual = residual.data(),
                          .y = y.data(),
                          .n_rows = n_rows,
                          .dim = dim,
                          .epsilon = 1e-6f};
      ASSERT_TRUE(rig->Run(args).ok());
      EXPECT_TRUE(testing::Near(y.span(), want, testing::kResidualNormTolerance));
      EXPECT_TRUE(y.GuardsIntact());

      GuardedArray<float> in_place(n);
      in_place.Assign(residual);
      args.residual = args.y = in_place.data();
      ASSERT_TRUE(rig->Run(args).ok());
      EXPECT_EQ(std::memcmp(in_place.data(), y.data(), n * sizeof(float)), 0);
    }
  }
}

TEST_P(RmsNormTest, TakesRowsOfWeightsInTurn) {
  const std::unique_ptr<OpRig> rig = GetParam().Create();
  constexpr int kRows = 7, kWeightRows = 3, kDim = 20;
  std::mt19937 random(150);
  const std::vector<float> x = testing::NormalFloats(kRows * kDim, random);
  const std::vector<float> weight = testing::NormalFloats(kWeightRows * kDim, random);
  GuardedArray<float> y(kRows * kDim);
  RmsNormArgs args = {.x = x.data(),
                      .weight = weight.data(),
                      .y = y.data(),
                      .n_rows = kRows,
                      .dim = kDim,
                      .n_weight_rows = kWeightRows};
  ASSERT_TRUE(rig->Run(args).ok());
  EXPECT_TRUE(y.GuardsIntact());
  for (int row = 0; row < kRows; ++row) {
    std::vector<double> want(kDim);
    ReferenceRmsNorm(x.data() + row * kDim, weight.data() + row % kWeightRows * kDim, nullptr,
                     want.data(), 1, kDim, 0.0);
    EXPECT_TRUE(testing::Near(y.span().subspan(static_cast<size_t>(row * kDim), kDim), want,
                              testing::kRmsNormTolerance))
        << row;
  }
  args.n_weight_rows = 0;
  EXPECT_EQ(rig->Run(args).code(), StatusCode::kInvalidArgument);
}

// Rows whose mean is several of their deviations, with and without a bias and a residual.
TEST_P(RmsNormTest, MatchesTheReferenceWhereItIsCentred) {
  const std::unique_ptr<OpRig> rig = GetParam().Create();
  uint32_t seed = 200;
  for (const int dim : testing::Lengths()) {
    for (const int n_rows : {1, 5}) {
      SCOPED_TRACE("n_rows " + std::to_string(n_rows) + ", dim " + std::to_string(dim) + ", seed " +
                   std::to_string(seed));
      std::mt19937 random(seed++);
      const auto n = static_cast<size_t>(n_rows) * static_cast<size_t>(dim);
      std::vector<float> x = testing::NormalFloats(n, random, 3.0f);
      for (float& value : x) value += 20.0f;
      const std::vector<float> residual = testing::NormalFloats(n, random, 2.0f);
      const std::vector<float> weight = testing::NormalFloats(static_cast<size_t>(dim), random);
      const std::vector<float> bias = testing::NormalFloats(static_cast<size_t>(dim), random);
      RmsNormArgs args = {.x = x.data(),
                          .weight = weight.data(),
                          .n_rows = n_rows,
                          .dim = dim,
                          .epsilon = 1e-5f,
                          .is_centred = true};
      for (const bool has_bias : {false, true}) {
        for (const bool has_residual : {false, true}) {
          args.bias = has_bias ? bias.data() : nullptr;
          args.residual = has_residual ? residual.data() : nullptr;
          std::vector<double> want(n);
          ReferenceLayerNorm(x.data(), weight.data(), args.bias, args.residual, want.data(), n_rows,
                             dim, 1e-5f);
          GuardedArray<float> y(n);
          args.x = x.data();
          args.y = y.data();
          ASSERT_TRUE(rig->Run(args).ok());
          EXPECT_TRUE(testing::Near(y.span(), want, testing::kLayerNormTolerance));
          EXPECT_TRUE(y.GuardsIntact());

          GuardedArray<float> in_place(n);
          in_place.Assign(x);
          args.x = args.y = in_place.data();
          ASSERT_TRUE(rig->Run(args).ok());
          EXPECT_EQ(std::memcmp(in_place.data(), y.data(), n * sizeof(float)), 0);
        }
      }
    }
  }
}

// What is left out is 1, bit for bit.
TEST_P(RmsNormTest, DoesWithoutWeightsAndScalesTheSum) {
  const std::unique_ptr<OpRig> rig = GetParam().Create();
  uint32_t seed = 300;
  for (const int dim : testing::Lengths()) {
    SCOPED_TRACE("dim " + std::to_string(dim) + ", seed " + std::to_string(seed));
    std::mt19937 random(seed++);
    const auto n = 3 * static_cast<size_t>(dim);
    const std::vector<float> x = testing::NormalFloats(n, random, 3.0f);
    const std::vector<float> residual = testing::NormalFloats(n, random, 2.0f);
    const std::vector<float> ones(static_cast<size_t>(dim), 1.0f);
    const float half = 0.5f;
    RmsNormArgs args = {.x = x.data(), .n_rows = 3, .dim = dim, .epsilon = 1e-6f};
    const auto run = [&] {
      GuardedArray<float> y(n);
      args.y = y.data();
      EXPECT_TRUE(rig->Run(args).ok());
      EXPECT_TRUE(y.GuardsIntact());
      return std::vector<float>(y.span().begin(), y.span().end());
    };
    for (const bool is_centred : {false, true}) {
      args.is_centred = is_centred;
      args.residual = residual.data();
      args.weight = ones.data();
      args.sum_scale = nullptr;
      std::vector<float> want = run();
      args.weight = nullptr;
      EXPECT_EQ(run(), want);
      for (float& value : want) value *= half;
      args.sum_scale = &half;
      EXPECT_EQ(run(), want);
      args.residual = nullptr;
      const std::vector<float> halved = run();
      args.sum_scale = nullptr;
      want = run();
      for (float& value : want) value *= half;
      EXPECT_EQ(halved, want);
    }
  }
}

TEST_P(RmsNormTest, GivesARowTheSameBitsInEveryBatchAndOnEveryPool) {
  const std::unique_ptr<OpRig> one = GetParam().Create(1);
  const std::unique_ptr<OpRig> three = GetParam().Create(3);
  std::mt19937 random(7);
  constexpr int kRows = 700, kDim = 129;
  const std::vector<float> x = testing::NormalFloats(kRows * kDim, random);
  const std::vector<float> residual = testing::NormalFloats(kRows * kDim, random);
  const std::vector<float> weight = testing::NormalFloats(kDim, random);
  const auto run = [&](OpRig& rig, int first, int n_rows, bool is_centred) {
    std::vector<float> y(static_cast<size_t>(n_rows) * kDim);
    EXPECT_TRUE(rig.Run(RmsNormArgs{.x = x.data() + first * kDim,
                                    .weight = weight.data(),
                                    .residual = residual.data() + first * kDim,
                                    .y = y.data(),
                                    .n_rows = n_rows,
                                    .dim = kDim,
                                    .epsilon = 1e-6f,
                                    .is_centred = is_centred,
                                    .bias = is_centred ? weight.data() : nullptr})
                    .ok());
    return y;
  };
  for (const bool is_centred : {false, true}) {
    const std::vector<float> together = run(*three, 0, kRows, is_centred);
    for (int row = 0; row < kRows; row += 37) {
      const std::vector<float> alone = run(*one, row, 1, is_centred);
      ASSERT_EQ(std::memcmp(alone.data(), together.data() + row * kDim, kDim * sizeof(float)), 0);
    }
  }
}

TEST_P(RmsNormTest, MakesTheBiasOfARowOfOneNumber) {
  const std::unique_ptr<OpRig> rig = GetParam().Create();
  const std::vector<float> x(40, 7.0f), weight(40, 2.0f), bias(40, 0.25f);
  std::vector<float> y(40, 1.0f);
  ASSERT_TRUE(rig->Run(RmsNormArgs{.x = x.data(),
                                   .weight = weight.data(),
                                   .y = y.data(),
                                   .n_rows = 1,
                                   .dim = 40,
                                   .epsilon = 1e-6f,
                                   .is_centred = true,
                                   .bias = bias.data()})
                  .ok());
  EXPECT_EQ(y, bias);
}

TEST_P(RmsNormTest, KeepsARowOfZerosZero) {
  const std::unique_ptr<OpRig> rig = GetParam().Create();
  const std::vector<float> x(40), weight(40, 2.0f);
  std::vector<float> y(40, 1.0f);
  ASSERT_TRUE(rig->Run(RmsNormArgs{.x = x.data(),
                                   .weight = weight.data(),
                                   .y = y.data(),
                                   .n_rows = 1,
                                   .dim = 40,
                                   .epsilon = 1e-6f})
                  .ok());
  EXPECT_EQ(y, std::vector<float>(40, 0.0f));
}

TEST_P(RmsNormTest, TakesNoRowsAsNoWork) {
  const std::unique_ptr<OpRig> rig = GetParam().Create();
  EXPECT_TRUE(rig->Run(RmsNormArgs{.dim = 8}).ok());
}

TEST_P(RmsNormTest, RefusesBadArguments) {
  const std::unique_ptr<OpRig> rig = GetParam().Create();
  float v[4] = {};
  const RmsNormArgs good = {.x = v, .weight = v, .y = v, .n_rows = 1, .dim = 4, .epsilon = 1e-6f};
  const auto refuses = [&](auto change) {
    RmsNormArgs args = good;
    change(args);
    return rig->Run(args).code() == StatusCode::kInvalidArgument;
  };
  EXPECT_TRUE(refuses([](RmsNormArgs& a) { a.x = nullptr; }));
  EXPECT_TRUE(refuses([](RmsNormArgs& a) { a.y = nullptr; }));
  EXPECT_TRUE(refuses([](RmsNormArgs& a) { a.n_rows = -1; }));
  EXPECT_TRUE(refuses([](RmsNormArgs& a) { a.dim = 0; }));
  EXPECT_TRUE(refuses([](RmsNormArgs& a) { a.epsilon = -1.0f; }));
  EXPECT_TRUE(refuses([](RmsNormArgs& a) { a.epsilon = NAN; }));
  EXPECT_TRUE(refuses([](RmsNormArgs& a) { a.bias = a.weight; }));
}

INSTANTIATE_TEST_SUITE_P(Devices, RmsNormTest, ::testing::ValuesIn(testing::OpRigKinds()),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace forge
