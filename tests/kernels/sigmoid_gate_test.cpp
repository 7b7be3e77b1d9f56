#include "kernels/reference/reference.h"
#include "tests/kernels/op_test.h"

namespace forge {
namespace {

using testing::GuardedArray;
using testing::OpRig;

class SigmoidGateTest : public ::testing::TestWithParam<testing::OpRigKind> {};

struct Shape {
  int n_rows, n_cols, gap;
};

void CheckShape(OpRig& rig, const Shape& shape) {
  const auto seed = static_cast<uint32_t>(shape.n_rows + 31 * shape.n_cols + 977 * shape.gap);
  SCOPED_TRACE("n_rows " + std::to_string(shape.n_rows) + ", n_cols " +
               std::to_string(shape.n_cols) + ", gap " + std::to_string(shape.gap) + ", seed " +
               std::to_string(seed));
  std::mt19937 random(seed);
  const int stride = shape.n_cols + shape.gap;
  const auto n = static_cast<size_t>(shape.n_rows * shape.n_cols);
  const std::vector<float> x = testing::NormalFloats(n, random);
  const std::vector<float> gate =
      testing::NormalFloats(static_cast<size_t>(shape.n_rows * stride), random, 4.0f);
  // Gates that end a row, as those beside queries do.
  SigmoidGateArgs args = {.x = x.data(),
                          .gate = {gate.data() + shape.gap, stride, shape.n_cols},
                          .n_rows = shape.n_rows};
  std::vector<double> want(n);
  ReferenceSigmoidGate(args, want.data());
  GuardedArray<float> y(n);
  args.y = y.data();
  ASSERT_TRUE(rig.Run(args).ok());
  EXPECT_TRUE(testing::Near(y.span(), want, testing::kSiluTolerance));
  EXPECT_TRUE(y.GuardsIntact());
  GuardedArray<float> in_place(n);
  in_place.Assign(x);
  args.x = args.y = in_place.data();
  ASSERT_TRUE(rig.Run(args).ok());
  EXPECT_EQ(std::memcmp(in_place.data(), y.data(), n * sizeof(float)), 0);
  EXPECT_TRUE(in_place.GuardsIntact());
}

TEST_P(SigmoidGateTest, MatchesReferenceForEveryLength) {
  const std::unique_ptr<OpRig> rig = GetParam().Create();
  for (const int n_cols : testing::Lengths()) {
    CheckShape(*rig, {1, n_cols, 0});
    CheckShape(*rig, {3, n_cols, 5});
  }
  CheckShape(*rig, {64, 256, 256});
}

TEST_P(SigmoidGateTest, MatchesReferenceFromTinyToHugeGates) {
  const std::unique_ptr<OpRig> rig = GetParam().Create();
  std::vector<float> gate, x;
  for (float g = -120.0f; g <= 120.0f; g += 0.07f) gate.push_back(g);
  gate.insert(gate.end(), {0.0f, -0.0f, 1e-30f, 1e30f, -1e30f, INFINITY, -INFINITY});
  for (size_t i = 0; i < gate.size(); ++i) x.push_back(static_cast<float>(i % 37) - 18.0f);
  const int n = static_cast<int>(gate.size());
  std::vector<float> y(gate.size());
  const SigmoidGateArgs args = {
      .x = x.data(), .gate = {gate.data(), n, n}, .y = y.data(), .n_rows = 1};
  std::vector<double> want(gate.size());
  ReferenceSigmoidGate(args, want.data());
  ASSERT_TRUE(rig->Run(args).ok());
  EXPECT_TRUE(testing::Near(y, want, testing::kSiluTolerance));
}

TEST_P(SigmoidGateTest, PassesNanOn) {
  const std::unique_ptr<OpRig> rig = GetParam().Create();
  const float x[3] = {1.0f, NAN, 2.0f}, gate[3] = {1.0f, 1.0f, NAN};
  float y[3] = {};
  ASSERT_TRUE(rig->Run(SigmoidGateArgs{.x = x, .gate = {gate, 3, 3}, .y = y, .n_rows = 1}).ok());
  EXPECT_FALSE(std::isnan(y[0]));
  EXPECT_TRUE(std::isnan(y[1]) && std::isnan(y[2]));
}

TEST_P(SigmoidGateTest, TakesNoRowsAsNoWorkAndRefusesBadArguments) {
  const std::unique_ptr<OpRig> rig = GetParam().Create();
  float x[8] = {}, gate[8] = {}, y[8] = {};
  const SigmoidGateArgs good = {.x = x, .gate = {gate, 3, 2}, .y = y, .n_rows = 2};
  const auto code_with = [&](auto change) {
    SigmoidGateArgs args = good;
    change(args);
    return rig->Run(args).code();
  };
  EXPECT_EQ(code_with([](SigmoidGateArgs&) {}), StatusCode::kOk);
  EXPECT_EQ(code_with([](SigmoidGateArgs& a) { a.n_rows = 0; }), StatusCode::kOk);
  const StatusCode refused = StatusCode::kInvalidArgument;
  EXPECT_EQ(code_with([](SigmoidGateArgs& a) { a.x = nullptr; }), refused);
  EXPECT_EQ(code_with([](SigmoidGateArgs& a) { a.y = nullptr; }), refused);
  EXPECT_EQ(code_with([](SigmoidGateArgs& a) { a.gate.x = nullptr; }), refused);
  EXPECT_EQ(code_with([](SigmoidGateArgs& a) { a.gate.n_cols = 0; }), refused);
  EXPECT_EQ(code_with([](SigmoidGateArgs& a) { a.gate.stride = 1; }), refused);
  EXPECT_EQ(code_with([](SigmoidGateArgs& a) { a.n_rows = -1; }), refused);
}

INSTANTIATE_TEST_SUITE_P(Devices, SigmoidGateTest, ::testing::ValuesIn(testing::OpRigKinds()),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace forge
