#include "kernels/reference/reference.h"
#include "tests/kernels/op_test.h"

namespace forge {
namespace {

using testing::GuardedArray;
using testing::OpRig;
using testing::Tolerance;

class GatedActivationTest
    : public ::testing::TestWithParam<std::tuple<testing::OpRigKind, Activation>> {
 protected:
  Activation activation() const { return std::get<1>(GetParam()); }
  const Tolerance& tolerance() const {
    if (activation() == Activation::kSilu) return testing::kSiluTolerance;
    if (activation() == Activation::kGeluTanh) return testing::kGeluTolerance;
    return testing::kSwigluTolerance;
  }

  std::unique_ptr<OpRig> rig_ = std::get<0>(GetParam()).Create();
};

TEST_P(GatedActivationTest, MatchesReferenceForEveryLength) {
  for (const int length : testing::Lengths()) {
    SCOPED_TRACE("n " + std::to_string(length) + ", seed is n");
    std::mt19937 random(static_cast<uint32_t>(length));
    const auto n = static_cast<size_t>(length);
    const std::vector<float> gate = testing::NormalFloats(n, random, 5.0f);
    const std::vector<float> up = testing::NormalFloats(n, random, 5.0f);
    std::vector<double> want(n);
    ReferenceGatedActivation(activation(), gate.data(), up.data(), want.data(), length);
    GuardedArray<float> y(n);
    GatedActivationArgs args = {.activation = activation(),
                                .gate = gate.data(),
                                .up = up.data(),
                                .y = y.data(),
                                .n = length};
    ASSERT_TRUE(rig_->Run(args).ok());
    EXPECT_TRUE(testing::Near(y.span(), want, tolerance()));
    EXPECT_TRUE(y.GuardsIntact());

    std::vector<float> over_gate = gate, over_up = up;
    args.gate = args.y = over_gate.data();
    ASSERT_TRUE(rig_->Run(args).ok());
    EXPECT_EQ(std::memcmp(over_gate.data(), y.data(), n * sizeof(float)), 0);
    args.gate = gate.data();
    args.up = args.y = over_up.data();
    ASSERT_TRUE(rig_->Run(args).ok());
    EXPECT_EQ(std::memcmp(over_up.data(), y.data(), n * sizeof(float)), 0);
  }
}

// Every magnitude that the exponential can meet, on both sides of its limits and of the clamps.
TEST_P(GatedActivationTest, MatchesReferenceFromTinyToHugeGates) {
  std::vector<float> gate;
  for (float g = -120.0f; g <= 120.0f; g += 0.01f) gate.push_back(g);
  for (float g = 1e-30f; g < 1e30f; g *= 10.0f) gate.insert(gate.end(), {g, -g});
  gate.insert(gate.end(), {0.0f, -0.0f});
  std::vector<float> up(gate.size());
  for (size_t i = 0; i < up.size(); ++i) up[i] = static_cast<float>(i % 37) - 18.0f;
  std::vector<double> want(gate.size());
  std::vector<float> y(gate.size());
  const auto n = static_cast<int64_t>(gate.size());
  ReferenceGatedActivation(activation(), gate.data(), up.data(), want.data(), n);
  ASSERT_TRUE(rig_->Run(GatedActivationArgs{.activation = activation(),
                                            .gate = gate.data(),
                                            .up = up.data(),
                                            .y = y.data(),
                                            .n = n})
                  .ok());
  EXPECT_TRUE(testing::Near(y, want, tolerance()));
}

TEST_P(GatedActivationTest, GivesAnElementTheSameBitsWhereverItLies) {
  std::mt19937 random(3);
  const std::vector<float> gate = testing::NormalFloats(1000, random, 3.0f);
  const std::vector<float> up = testing::NormalFloats(1000, random, 3.0f);
  std::vector<float> together(1000);
  const auto run = [&](size_t first, int64_t n, float* y) {
    ASSERT_TRUE(rig_->Run(GatedActivationArgs{.activation = activation(),
                                              .gate = gate.data() + first,
                                              .up = up.data() + first,
                                              .y = y,
                                              .n = n})
                    .ok());
  };
  run(0, 1000, together.data());
  for (size_t i = 0; i < 1000; i += 23) {
    float alone = 0.0f;
    run(i, 1, &alone);
    ASSERT_EQ(std::memcmp(&alone, &together[i], sizeof(float)), 0) << i;
  }
}

TEST_P(GatedActivationTest, PassesNanOn) {
  const float gate[3] = {1.0f, NAN, 2.0f}, up[3] = {1.0f, 1.0f, NAN};
  float y[3] = {};
  const GatedActivationArgs args = {
      .activation = activation(), .gate = gate, .up = up, .y = y, .n = 3};
  ASSERT_TRUE(rig_->Run(args).ok());
  EXPECT_FALSE(std::isnan(y[0]));
  EXPECT_TRUE(std::isnan(y[1]));
  EXPECT_TRUE(std::isnan(y[2]));
}

TEST_P(GatedActivationTest, TakesNothingAsNoWorkAndRefusesBadArguments) {
  float v[1] = {};
  const GatedActivationArgs good = {.activation = activation(), .gate = v, .up = v, .y = v, .n = 1};
  const auto code_with = [&](auto change) {
    GatedActivationArgs args = good;
    change(args);
    return rig_->Run(args).code();
  };
  const StatusCode refused = StatusCode::kInvalidArgument;
  EXPECT_EQ(code_with([](GatedActivationArgs& a) { a = {}; }), StatusCode::kOk);
  EXPECT_EQ(code_with([](GatedActivationArgs& a) { a.n = -1; }), refused);
  EXPECT_EQ(code_with([](GatedActivationArgs& a) { a.gate = nullptr; }), refused);
  EXPECT_EQ(code_with([](GatedActivationArgs& a) { a.up = nullptr; }), refused);
  EXPECT_EQ(code_with([](GatedActivationArgs& a) { a.y = nullptr; }), refused);
  EXPECT_EQ(code_with([](GatedActivationArgs& a) { a.activation = static_cast<Activation>(3); }),
            refused);
}

std::string NameOf(Activation activation) {
  if (activation == Activation::kSilu) return "Silu";
  return activation == Activation::kGeluTanh ? "GeluTanh" : "SwigluClamped";
}

INSTANTIATE_TEST_SUITE_P(Devices, GatedActivationTest,
                         ::testing::Combine(::testing::ValuesIn(testing::OpRigKinds()),
                                            ::testing::Values(Activation::kSilu,
                                                              Activation::kGeluTanh,
                                                              Activation::kSwigluClamped)),
                         [](const auto& test) {
                           return std::get<0>(test.param).name + NameOf(std::get<1>(test.param));
                         });

}  // namespace
}  // namespace forge
