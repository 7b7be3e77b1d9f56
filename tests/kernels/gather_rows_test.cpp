#include "kernels/reference/reference.h"
#include "tests/kernels/op_test.h"

namespace forge {
namespace {

using testing::GuardedArray;
using testing::OpRig;

class GatherRowsTest : public ::testing::TestWithParam<testing::OpRigKind> {};

void CheckShape(OpRig& rig, int n_x_rows, int n_rows, int dim) {
  const auto seed = static_cast<uint32_t>(n_x_rows + 31 * n_rows + 977 * dim);
  SCOPED_TRACE("n_x_rows " + std::to_string(n_x_rows) + ", n_rows " + std::to_string(n_rows) +
               ", dim " + std::to_string(dim) + ", seed " + std::to_string(seed));
  std::mt19937 random(seed);
  const std::vector<float> x =
      testing::NormalFloats(static_cast<size_t>(n_x_rows) * static_cast<size_t>(dim), random);
  std::vector<int32_t> rows(static_cast<size_t>(n_rows));
  for (int32_t& row : rows) row = static_cast<int32_t>(random() % static_cast<uint32_t>(n_x_rows));
  const size_t n = rows.size() * static_cast<size_t>(dim);
  std::vector<double> want(n);
  ReferenceGatherRows(x.data(), rows.data(), want.data(), n_rows, dim);
  GuardedArray<float> y(n);
  ASSERT_TRUE(rig.Run(GatherRowsArgs{.x = x.data(),
                                     .rows = rows.data(),
                                     .y = y.data(),
                                     .n_x_rows = n_x_rows,
                                     .n_rows = n_rows,
                                     .dim = dim})
                  .ok());
  EXPECT_TRUE(testing::Near(y.span(), want, testing::kExact));
  EXPECT_TRUE(y.GuardsIntact());
}

TEST_P(GatherRowsTest, CopiesTheNamedRows) {
  const std::unique_ptr<OpRig> rig = GetParam().Create();
  for (const int dim : testing::Lengths())
    for (const int n_rows : {1, 5}) CheckShape(*rig, 7, n_rows, dim);
  CheckShape(*rig, 33, 100, 2048);
}

TEST_P(GatherRowsTest, LetsNoRowOutOfRangePass) {
  const std::unique_ptr<OpRig> rig = GetParam().Create();
  const std::vector<float> x(6, 1.0f);
  for (const int32_t bad : {-1, 3, INT32_MAX, INT32_MIN}) {
    const int32_t rows[2] = {0, bad};
    float y[4] = {};
    const Status status = rig->Run(
        GatherRowsArgs{.x = x.data(), .rows = rows, .y = y, .n_x_rows = 3, .n_rows = 2, .dim = 2});
    if (rig->refuses_indices()) {
      EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
      EXPECT_NE(status.message().find(std::to_string(bad)), std::string::npos) << status.message();
      EXPECT_EQ(y[0], 0.0f);
    } else {
      EXPECT_TRUE(status.ok()) << status.ToString();
      EXPECT_EQ(y[0], 1.0f);
      EXPECT_TRUE(std::isnan(y[2]) && std::isnan(y[3]));
    }
  }
}

TEST_P(GatherRowsTest, TakesNoRowsAsNoWorkAndRefusesBadArguments) {
  const std::unique_ptr<OpRig> rig = GetParam().Create();
  float x[4] = {}, y[4] = {};
  const int32_t rows[1] = {};
  const GatherRowsArgs good = {.x = x, .rows = rows, .y = y, .n_x_rows = 1, .n_rows = 1, .dim = 4};
  const auto code_with = [&](auto change) {
    GatherRowsArgs args = good;
    change(args);
    return rig->Run(args).code();
  };
  EXPECT_EQ(code_with([](GatherRowsArgs& a) { a.n_rows = 0; }), StatusCode::kOk);
  const StatusCode refused = StatusCode::kInvalidArgument;
  EXPECT_EQ(code_with([](GatherRowsArgs& a) { a.x = nullptr; }), refused);
  EXPECT_EQ(code_with([](GatherRowsArgs& a) { a.rows = nullptr; }), refused);
  EXPECT_EQ(code_with([](GatherRowsArgs& a) { a.y = nullptr; }), refused);
  EXPECT_EQ(code_with([](GatherRowsArgs& a) { a.n_rows = -1; }), refused);
  EXPECT_EQ(code_with([](GatherRowsArgs& a) { a.n_x_rows = 0; }), refused);
  EXPECT_EQ(code_with([](GatherRowsArgs& a) { a.dim = 0; }), refused);
}

INSTANTIATE_TEST_SUITE_P(Devices, GatherRowsTest, ::testing::ValuesIn(testing::OpRigKinds()),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace forge
