#include "kernels/reference/reference.h"
#include "tests/kernels/op_test.h"

namespace forge {
namespace {

using testing::GuardedArray;
using testing::OpRig;

class MultiplyColumnsTest : public ::testing::TestWithParam<testing::OpRigKind> {};

// Factors that end longer rows.
void CheckShape(OpRig& rig, int n_rows, int n_cols, int gap) {
  const auto seed = static_cast<uint32_t>(n_rows + 31 * n_cols + 977 * gap);
  SCOPED_TRACE("n_rows " + std::to_string(n_rows) + ", n_cols " + std::to_string(n_cols) +
               ", gap " + std::to_string(gap) + ", seed " + std::to_string(seed));
  std::mt19937 random(seed);
  const int stride = n_cols + gap;
  const auto n = static_cast<size_t>(n_rows * n_cols);
  const std::vector<float> x = testing::NormalFloats(n, random);
  const std::vector<float> factor =
      testing::NormalFloats(static_cast<size_t>(n_rows * stride), random);
  MultiplyColumnsArgs args = {
      .x = x.data(), .factor = {factor.data() + gap, stride, n_cols}, .n_rows = n_rows};
  std::vector<double> want(n);
  ReferenceMultiplyColumns(args, want.data());
  GuardedArray<float> y(n);
  args.y = y.data();
  ASSERT_TRUE(rig.Run(args).ok());
  for (size_t i = 0; i < n; ++i) ASSERT_EQ(y.data()[i], static_cast<float>(want[i])) << i;
  EXPECT_TRUE(y.GuardsIntact());
  GuardedArray<float> in_place(n);
  in_place.Assign(x);
  args.x = args.y = in_place.data();
  ASSERT_TRUE(rig.Run(args).ok());
  EXPECT_EQ(std::memcmp(in_place.data(), y.data(), n * sizeof(float)), 0);
  EXPECT_TRUE(in_place.GuardsIntact());
}

TEST_P(MultiplyColumnsTest, RoundsTheProductForEveryLength) {
  const std::unique_ptr<OpRig> rig = GetParam().Create();
  for (const int n_cols : testing::Lengths()) {
    CheckShape(*rig, 1, n_cols, 0);
    CheckShape(*rig, 3, n_cols, 5);
  }
  CheckShape(*rig, 64, 256, 256);
}

TEST_P(MultiplyColumnsTest, TakesNoRowsAsNoWorkAndRefusesBadArguments) {
  const std::unique_ptr<OpRig> rig = GetParam().Create();
  float x[8] = {}, factor[8] = {}, y[8] = {};
  const MultiplyColumnsArgs good = {.x = x, .factor = {factor, 3, 2}, .y = y, .n_rows = 2};
  const auto code_with = [&](auto change) {
    MultiplyColumnsArgs args = good;
    change(args);
    return rig->Run(args).code();
  };
  EXPECT_EQ(code_with([](MultiplyColumnsArgs&) {}), StatusCode::kOk);
  EXPECT_EQ(code_with([](MultiplyColumnsArgs& a) { a.n_rows = 0; }), StatusCode::kOk);
  const StatusCode refused = StatusCode::kInvalidArgument;
  EXPECT_EQ(code_with([](MultiplyColumnsArgs& a) { a.x = nullptr; }), refused);
  EXPECT_EQ(code_with([](MultiplyColumnsArgs& a) { a.y = nullptr; }), refused);
  EXPECT_EQ(code_with([](MultiplyColumnsArgs& a) { a.factor.x = nullptr; }), refused);
  EXPECT_EQ(code_with([](MultiplyColumnsArgs& a) { a.factor.n_cols = 0; }), refused);
  EXPECT_EQ(code_with([](MultiplyColumnsArgs& a) { a.factor.stride = 1; }), refused);
  EXPECT_EQ(code_with([](MultiplyColumnsArgs& a) { a.n_rows = -1; }), refused);
}

INSTANTIATE_TEST_SUITE_P(Devices, MultiplyColumnsTest, ::testing::ValuesIn(testing::OpRigKinds()),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace forge
