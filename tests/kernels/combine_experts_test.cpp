#include "kernels/reference/reference.h"
#include "tests/kernels/op_test.h"

namespace forge {
namespace {

using testing::GuardedArray;
using testing::OpRig;

// Random inputs of the op, of which a test may use some.
struct Inputs {
  Inputs(int n_tokens, int n_used, int dim, uint32_t seed) {
    std::mt19937 random(seed);
    const auto rows = static_cast<size_t>(n_tokens), values = rows * static_cast<size_t>(dim);
    x = testing::NormalFloats(values * static_cast<size_t>(n_used), random);
    weights = testing::NormalFloats(rows * static_cast<size_t>(n_used), random);
    shared = testing::NormalFloats(values, random);
    shared_gate = testing::NormalFloats(rows, random, 4.0f);
    residual = testing::NormalFloats(values, random);
    args = {.x = x.data(),
            .weights = weights.data(),
            .shared = shared.data(),
            .shared_gate = shared_gate.data(),
            .residual = residual.data(),
            .n_tokens = n_tokens,
            .n_used = n_used,
            .dim = dim};
  }
  std::vector<float> x, weights, shared, shared_gate, residual;
  CombineExpertsArgs args;
};

class CombineExpertsTest : public ::testing::TestWithParam<testing::OpRigKind> {
 protected:
  std::unique_ptr<OpRig> rig_ = GetParam().Create(3);
};

TEST_P(CombineExpertsTest, MatchesReferenceForEveryLengthAndSetOfTerms) {
  uint32_t seed = 1;
  for (const int dim : testing::Lengths()) {
    for (const int n_used : {1, 2, 8}) {
      for (const int terms : {0, 1, 2, 3, 4, 5}) {
        const int n_tokens = dim < 1000 ? 3 : 1;
        SCOPED_TRACE("dim " + std::to_string(dim) + ", n_used " + std::to_string(n_used) +
                     ", terms " + std::to_string(terms) + ", seed " + std::to_string(seed));
        Inputs inputs(n_tokens, n_used, dim, seed++);
        if (terms % 3 == 0) inputs.args.shared = nullptr;
        if (terms % 3 != 2) inputs.args.shared_gate = nullptr;
        if (terms < 3) inputs.args.residual = nullptr;
        const auto n = static_cast<size_t>(n_tokens) * static_cast<size_t>(dim);
        std::vector<double> want(n);
        ReferenceCombineExperts(inputs.args, want.data());
        GuardedArray<float> y(n);
        inputs.args.y = y.data();
        ASSERT_TRUE(rig_->Run(inputs.args).ok());
        EXPECT_TRUE(testing::Near(y.span(), want, testing::kCombineTolerance));
        EXPECT_TRUE(y.GuardsIntact());
        if (inputs.args.residual == nullptr) continue;

        std::vector<float> in_place = inputs.residual;
        inputs.args.residual = inputs.args.y = in_place.data();
        ASSERT_TRUE(rig_->Run(inputs.args).ok());
        EXPECT_EQ(std::memcmp(in_place.data(), y.data(), n * sizeof(float)), 0);
      }
    }
  }
}

TEST_P(CombineExpertsTest, ScalesRowsInPlace) {
  for (const int dim : {1, 31, 64, 1000}) {
    Inputs inputs(5, 1, dim, 11);
    CombineExpertsArgs args = inputs.args;
    args.shared = args.shared_gate = args.residual = nullptr;
    std::vector<float> apart(inputs.x.size());
    args.y = apart.data();
    ASSERT_TRUE(rig_->Run(args).ok());
    args.y = inputs.x.data();
    ASSERT_TRUE(rig_->Run(args).ok());
    EXPECT_EQ(inputs.x, apart) << dim;
  }
}

TEST_P(CombineExpertsTest, GivesATokenTheSameBitsInEveryBatch) {
  constexpr int kTokens = 200, kUsed = 4, kDim = 333;
  Inputs inputs(kTokens, kUsed, kDim, 9);
  std::vector<float> together(kTokens * kDim), alone(kDim);
  inputs.args.y = together.data();
  ASSERT_TRUE(rig_->Run(inputs.args).ok());
  for (int t = 0; t < kTokens; t += 9) {
    CombineExpertsArgs args = inputs.args;
    args.x += t * kUsed * kDim;
    args.weights += t * kUsed;
    args.shared += t * kDim;
    args.shared_gate += t;
    args.residual += t * kDim;
    args.y = alone.data();
    args.n_tokens = 1;
    ASSERT_TRUE(rig_->Run(args).ok());
    ASSERT_EQ(std::memcmp(alone.data(), together.data() + t * kDim, kDim * sizeof(float)), 0) << t;
  }
}

TEST_P(CombineExpertsTest, TakesNoTokensAsNoWorkAndRefusesBadArguments) {
  Inputs inputs(2, 2, 8, 10);
  std::vector<float> y(16);
  const auto code_with = [&](auto change) {
    CombineExpertsArgs args = inputs.args;
    args.y = y.data();
    change(args);
    return rig_->Run(args).code();
  };
  const StatusCode refused = StatusCode::kInvalidArgument;
  EXPECT_EQ(code_with([](CombineExpertsArgs& a) { a.x = nullptr; }), refused);
  EXPECT_EQ(code_with([](CombineExpertsArgs& a) { a.weights = nullptr; }), refused);
  EXPECT_EQ(code_with([](CombineExpertsArgs& a) { a.y = nullptr; }), refused);
  EXPECT_EQ(code_with([](CombineExpertsArgs& a) { a.shared = nullptr; }), refused);
  EXPECT_EQ(code_with([](CombineExpertsArgs& a) { a.n_tokens = -1; }), refused);
  EXPECT_EQ(code_with([](CombineExpertsArgs& a) { a.n_used = 0; }), refused);
  EXPECT_EQ(code_with([](CombineExpertsArgs& a) { a.dim = 0; }), refused);
  EXPECT_EQ(code_with([](CombineExpertsArgs& a) { a.n_tokens = 0; }), StatusCode::kOk);
}

INSTANTIATE_TEST_SUITE_P(Devices, CombineExpertsTest, ::testing::ValuesIn(testing::OpRigKinds()),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace forge
