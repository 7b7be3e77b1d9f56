#include "kernels/reference/reference.h"
#include "tests/kernels/op_test.h"

namespace forge {
namespace {

using testing::GuardedArray;
using testing::OpRig;

class SoftCapTest : public ::testing::TestWithParam<testing::OpRigKind> {
 protected:
  std::unique_ptr<OpRig> rig_ = GetParam().Create();
};

TEST_P(SoftCapTest, MatchesReferenceForEveryLengthAlsoInPlace) {
  for (const int length : testing::Lengths()) {
    SCOPED_TRACE("n " + std::to_string(length) + ", seed is n");
    std::mt19937 random(static_cast<uint32_t>(length));
    const auto n = static_cast<size_t>(length);
    const std::vector<float> x = testing::NormalFloats(n, random, 40.0f);
    std::vector<double> want(n);
    ReferenceSoftCap(x.data(), want.data(), length, 30.0);
    GuardedArray<float> y(n);
    SoftCapArgs args = {.x = x.data(), .y = y.data(), .n = length, .cap = 30.0f};
    ASSERT_TRUE(rig_->Run(args).ok());
    EXPECT_TRUE(testing::Near(y.span(), want, testing::kSoftCapTolerance));
    EXPECT_TRUE(y.GuardsIntact());

    std::vector<float> in_place = x;
    args.x = args.y = in_place.data();
    ASSERT_TRUE(rig_->Run(args).ok());
    EXPECT_EQ(std::memcmp(in_place.data(), y.data(), n * sizeof(float)), 0);
  }
}

TEST_P(SoftCapTest, MatchesReferenceFromTinyToHugeValues) {
  std::vector<float> x;
  for (float v = -30.0f; v <= 30.0f; v += 0.001f) x.push_back(v);
  for (float v = 1e-35f; v < 1e35f; v *= 3.0f) x.insert(x.end(), {v, -v});
  x.insert(x.end(), {0.0f, INFINITY, -INFINITY});
  const auto n = static_cast<int64_t>(x.size());
  for (const float cap : {1.0f, 30.0f, 50.0f, 0.01f}) {
    SCOPED_TRACE("cap " + std::to_string(cap));
    std::vector<double> want(x.size());
    ReferenceSoftCap(x.data(), want.data(), n, cap);
    std::vector<float> y(x.size());
    ASSERT_TRUE(rig_->Run(SoftCapArgs{.x = x.data(), .y = y.data(), .n = n, .cap = cap}).ok());
    EXPECT_TRUE(testing::Near(y, want, testing::kSoftCapTolerance));
  }
}

TEST_P(SoftCapTest, PassesNanOn) {
  const float x[2] = {NAN, 1.0f};
  float y[2] = {};
  ASSERT_TRUE(rig_->Run(SoftCapArgs{.x = x, .y = y, .n = 2, .cap = 30.0f}).ok());
  EXPECT_TRUE(std::isnan(y[0]));
  EXPECT_FALSE(std::isnan(y[1]));
}

TEST_P(SoftCapTest, TakesNothingAsNoWorkAndRefusesBadArguments) {
  float v[1] = {};
  const auto code = [&](const SoftCapArgs& args) { return rig_->Run(args).code(); };
  const StatusCode refused = StatusCode::kInvalidArgument;
  EXPECT_EQ(code({.cap = 1.0f}), StatusCode::kOk);
  EXPECT_EQ(code({.x = v, .y = v, .n = -1, .cap = 1.0f}), refused);
  EXPECT_EQ(code({.x = nullptr, .y = v, .n = 1, .cap = 1.0f}), refused);
  EXPECT_EQ(code({.x = v, .y = nullptr, .n = 1, .cap = 1.0f}), refused);
  for (const float cap : {0.0f, -1.0f, NAN, INFINITY})
    EXPECT_EQ(code({.x = v, .y = v, .n = 1, .cap = cap}), refused) << cap;
}

INSTANTIATE_TEST_SUITE_P(Devices, SoftCapTest, ::testing::ValuesIn(testing::OpRigKinds()),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace forge
