#include "kernels/reference/reference.h"
#include "tests/kernels/op_test.h"

namespace forge {
namespace {

using testing::GuardedArray;
using testing::OpRig;

class JoinColumnsTest : public ::testing::TestWithParam<testing::OpRigKind> {};

struct Shape {
  int n_rows, n_first, first_gap, n_second, second_gap;
};

void CheckShape(OpRig& rig, const Shape& shape) {
  const uint32_t seed = static_cast<uint32_t>(shape.n_rows + 31 * shape.n_first +
                                              977 * shape.first_gap + 7 * shape.n_second);
  SCOPED_TRACE("n_rows " + std::to_string(shape.n_rows) + ", n_first " +
               std::to_string(shape.n_first) + ", n_second " + std::to_string(shape.n_second) +
               ", seed " + std::to_string(seed));
  std::mt19937 random(seed);
  const int first_stride = shape.n_first + shape.first_gap;
  const int second_stride = shape.n_second + shape.second_gap;
  const std::vector<float> first =
      testing::NormalFloats(static_cast<size_t>(shape.n_rows * first_stride), random);
  const std::vector<float> second =
      testing::NormalFloats(static_cast<size_t>(shape.n_rows * second_stride), random);
  // Parts that begin within a row, as the turned elements of a head do.
  JoinColumnsArgs args = {
      .first = {first.data() + shape.first_gap, first_stride, shape.n_first},
      .second = {second.data() + shape.second_gap, second_stride, shape.n_second},
      .n_rows = shape.n_rows};
  const size_t n = static_cast<size_t>(shape.n_rows * (shape.n_first + shape.n_second));
  std::vector<double> want(n);
  ReferenceJoinColumns(args, want.data());
  GuardedArray<float> y(n);
  args.y = y.data();
  ASSERT_TRUE(rig.Run(args).ok());
  EXPECT_TRUE(testing::Near(y.span(), want, testing::kExact));
  EXPECT_TRUE(y.GuardsIntact());
}

TEST_P(JoinColumnsTest, PutsPartsOfRowsBesideEachOther) {
  const std::unique_ptr<OpRig> rig = GetParam().Create();
  for (const int n_first : testing::Lengths()) {
    CheckShape(*rig, {5, n_first, 3, 7, 0});
    CheckShape(*rig, {3, 1, 0, n_first, 2});
    CheckShape(*rig, {4, n_first, 1, 0, 0});
    CheckShape(*rig, {4, 0, 0, n_first, 5});
  }
  CheckShape(*rig, {1000, 64, 128, 512, 0});
}

TEST_P(JoinColumnsTest, TakesNoRowsAsNoWorkAndRefusesBadArguments) {
  const std::unique_ptr<OpRig> rig = GetParam().Create();
  float left[8] = {}, right[8] = {}, y[8] = {};
  const JoinColumnsArgs good = {
      .first = {left, 2, 2}, .second = {right, 3, 2}, .y = y, .n_rows = 2};
  const auto code_with = [&](auto change) {
    JoinColumnsArgs args = good;
    change(args);
    return rig->Run(args).code();
  };
  EXPECT_EQ(code_with([](JoinColumnsArgs&) {}), StatusCode::kOk);
  EXPECT_EQ(code_with([](JoinColumnsArgs& a) { a.n_rows = 0; }), StatusCode::kOk);
  EXPECT_EQ(code_with([](JoinColumnsArgs& a) { a.second = {}; }), StatusCode::kOk);
  const StatusCode refused = StatusCode::kInvalidArgument;
  EXPECT_EQ(code_with([](JoinColumnsArgs& a) { a.first.x = nullptr; }), refused);
  EXPECT_EQ(code_with([](JoinColumnsArgs& a) { a.second.x = nullptr; }), refused);
  EXPECT_EQ(code_with([](JoinColumnsArgs& a) { a.y = nullptr; }), refused);
  EXPECT_EQ(code_with([](JoinColumnsArgs& a) { a.n_rows = -1; }), refused);
  EXPECT_EQ(code_with([](JoinColumnsArgs& a) { a.first.n_cols = -1; }), refused);
  EXPECT_EQ(code_with([](JoinColumnsArgs& a) { a.second.stride = 1; }), refused);
  EXPECT_EQ(code_with([](JoinColumnsArgs& a) { a.first = a.second = {}; }), refused);
  EXPECT_EQ(code_with([](JoinColumnsArgs& a) { a.first.n_cols = a.first.stride = INT32_MAX; }),
            refused);
}

INSTANTIATE_TEST_SUITE_P(Devices, JoinColumnsTest, ::testing::ValuesIn(testing::OpRigKinds()),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace forge
