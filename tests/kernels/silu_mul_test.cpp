#include "kernels/cpu/silu_mul.h"

#include "kernels/reference/reference.h"
#include "tests/kernels/op_test.h"

namespace forge {
namespace {

using testing::CpuRig;
using testing::GuardedArray;

class SiluMulTest : public ::testing::TestWithParam<CpuLevel> {};

TEST_P(SiluMulTest, MatchesReferenceForEveryLength) {
  CpuRig rig(GetParam());
  for (const int length : testing::Lengths()) {
    SCOPED_TRACE("n " + std::to_string(length) + ", seed is n");
    std::mt19937 random(static_cast<uint32_t>(length));
    const auto n = static_cast<size_t>(length);
    const std::vector<float> gate = testing::NormalFloats(n, random, 5.0f);
    const std::vector<float> up = testing::NormalFloats(n, random);
    std::vector<double> want(n);
    ReferenceSiluMul(gate.data(), up.data(), want.data(), length);
    GuardedArray<float> y(n);
    SiluMulArgs args = {.gate = gate.data(), .up = up.data(), .y = y.data(), .n = length};
    ASSERT_TRUE(CpuSiluMul(args, rig.stream()).ok());
    EXPECT_TRUE(testing::Near(y.span(), want, testing::kSiluMulTolerance));
    EXPECT_TRUE(y.GuardsIntact());

    std::vector<float> over_gate = gate, over_up = up;
    args.gate = args.y = over_gate.data();
    ASSERT_TRUE(CpuSiluMul(args, rig.stream()).ok());
    EXPECT_EQ(std::memcmp(over_gate.data(), y.data(), n * sizeof(float)), 0);
    args = {.gate = gate.data(), .up = over_up.data(), .y = over_up.data(), .n = length};
    ASSERT_TRUE(CpuSiluMul(args, rig.stream()).ok());
    EXPECT_EQ(std::memcmp(over_up.data(), y.data(), n * sizeof(float)), 0);
  }
}

// Every magnitude that the exponential can meet, on both sides of its limits.
TEST_P(SiluMulTest, MatchesReferenceFromTinyToHugeGates) {
  CpuRig rig(GetParam());
  std::vector<float> gate;
  for (float g = -120.0f; g <= 120.0f; g += 0.01f) gate.push_back(g);
  for (float g = 1e-30f; g < 1e30f; g *= 10.0f) gate.insert(gate.end(), {g, -g});
  gate.insert(gate.end(), {0.0f, -0.0f});
  const std::vector<float> up(gate.size(), 1.0f);
  std::vector<double> want(gate.size());
  std::vector<float> y(gate.size());
  const auto n = static_cast<int64_t>(gate.size());
  ReferenceSiluMul(gate.data(), up.data(), want.data(), n);
  ASSERT_TRUE(
      CpuSiluMul({.gate = gate.data(), .up = up.data(), .y = y.data(), .n = n}, rig.stream()).ok());
  EXPECT_TRUE(testing::Near(y, want, testing::kSiluMulTolerance));
}

TEST_P(SiluMulTest, PassesNanOn) {
  CpuRig rig(GetParam());
  const float gate[3] = {1.0f, NAN, 2.0f}, up[3] = {1.0f, 1.0f, NAN};
  float y[3] = {};
  ASSERT_TRUE(CpuSiluMul({.gate = gate, .up = up, .y = y, .n = 3}, rig.stream()).ok());
  EXPECT_FALSE(std::isnan(y[0]));
  EXPECT_TRUE(std::isnan(y[1]));
  EXPECT_TRUE(std::isnan(y[2]));
}

TEST_P(SiluMulTest, TakesNothingAsNoWorkAndRefusesBadArguments) {
  CpuRig rig(GetParam());
  float v[1] = {};
  const auto code = [&](const SiluMulArgs& args) { return CpuSiluMul(args, rig.stream()).code(); };
  EXPECT_EQ(code({}), StatusCode::kOk);
  EXPECT_EQ(code({.gate = v, .up = v, .y = v, .n = -1}), StatusCode::kInvalidArgument);
  EXPECT_EQ(code({.gate = nullptr, .up = v, .y = v, .n = 1}), StatusCode::kInvalidArgument);
  EXPECT_EQ(code({.gate = v, .up = nullptr, .y = v, .n = 1}), StatusCode::kInvalidArgument);
  EXPECT_EQ(code({.gate = v, .up = v, .y = nullptr, .n = 1}), StatusCode::kInvalidArgument);
}

INSTANTIATE_TEST_SUITE_P(Levels, SiluMulTest, ::testing::ValuesIn(testing::AvailableLevels()),
                         [](const auto& test) { return std::string(CpuLevelName(test.param)); });

}  // namespace
}  // namespace forge
