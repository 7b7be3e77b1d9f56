// What a matmul makes of gate and up. The weights here are zeros, and gate and up are the biases,
// so that nothing but the activation is computed; matmul_test.cpp has both together.

#include "kernels/formats/formats.h"
#include "kernels/reference/reference.h"
#include "tests/kernels/op_test.h"
#include "tests/kernels/packed_matrix.h"

namespace forge {
namespace {

using testing::GuardedArray;
using testing::OpRig;
using testing::Tolerance;

// y = activation(gate, up), or of an empty `up`, which there is none of, activation(gate, 1).
void Activate(OpRig& rig, Activation activation, std::span<const float> gate,
              std::span<const float> up, float* y) {
  const auto n = static_cast<int64_t>(gate.size());
  const WeightShape shape = {F32Format::kDType, n, 1};
  testing::PackedMatrix zeros(rig, shape, std::vector<std::byte>(gate.size() * sizeof(float)));
  const float x = 0.0f;
  std::vector<float> up_y(gate.size());
  MatmulArgs args;
  args.x = &x;
  args.n_tokens = 1;
  args.n_targets = up.empty() ? 1 : 2;
  args.activation = activation;
  args.targets[0] = {.weight = zeros.view(), .bias = gate.data(), .y = y};
  args.targets[1] = {.weight = zeros.view(), .bias = up.data(), .y = up_y.data()};
  const Status status = rig.Run(args);
  EXPECT_TRUE(status.ok()) << status.ToString();
}

class GatedActivationTest
    : public ::testing::TestWithParam<std::tuple<testing::OpRigKind, Activation>> {
 protected:
  Activation activation() const { return std::get<1>(GetParam()); }
  const Tolerance& tolerance() const {
    if (activation() == Activation::kSilu) return testing::kSiluTolerance;
    if (activation() == Activation::kGeluTanh) return testing::kGeluTolerance;
    if (activation() == Activation::kReluSquared) return testing::kReluTolerance;
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
    Activate(*rig_, activation(), gate, up, y.data());
    EXPECT_TRUE(testing::Near(y.span(), want, tolerance()));
    EXPECT_TRUE(y.GuardsIntact());
  }
}

TEST_P(GatedActivationTest, TakesOneWhereNothingIsGated) {
  for (const int length : testing::Lengths()) {
    SCOPED_TRACE("n " + std::to_string(length) + ", seed is n");
    std::mt19937 random(static_cast<uint32_t>(length));
    const auto n = static_cast<size_t>(length);
    const std::vector<float> gate = testing::NormalFloats(n, random, 5.0f);
    const std::vector<float> ones(n, 1.0f);
    std::vector<double> want(n);
    ReferenceGatedActivation(activation(), gate.data(), ones.data(), want.data(), length);
    GuardedArray<float> y(n);
    Activate(*rig_, activation(), gate, {}, y.data());
    EXPECT_TRUE(testing::Near(y.span(), want, tolerance()));
    EXPECT_TRUE(y.GuardsIntact());
  }
}

// Every magnitude that the exponential can meet, on both sides of its limits and of the clamps.
TEST_P(GatedActivationTest, MatchesReferenceFromTinyToHugeGates) {
  std::vector<float> gate;
  for (float g = -120.0f; g <= 120.0f; g += 0.03f) gate.push_back(g);
  // Squares are to be within float32's range.
  const float huge = activation() == Activation::kReluSquared ? 1e18f : 1e30f;
  for (float g = 1e-30f; g < huge; g *= 10.0f) gate.insert(gate.end(), {g, -g});
  gate.insert(gate.end(), {0.0f, -0.0f});
  std::vector<float> up(gate.size());
  for (size_t i = 0; i < up.size(); ++i) up[i] = static_cast<float>(i % 37) - 18.0f;
  std::vector<double> want(gate.size());
  std::vector<float> y(gate.size());
  const auto n = static_cast<int64_t>(gate.size());
  ReferenceGatedActivation(activation(), gate.data(), up.data(), want.data(), n);
  Activate(*rig_, activation(), gate, up, y.data());
  EXPECT_TRUE(testing::Near(y, want, tolerance()));
}

TEST_P(GatedActivationTest, GivesAnElementTheSameBitsWhereverItLies) {
  std::mt19937 random(3);
  const std::vector<float> gate = testing::NormalFloats(1000, random, 3.0f);
  const std::vector<float> up = testing::NormalFloats(1000, random, 3.0f);
  std::vector<float> together(1000);
  Activate(*rig_, activation(), gate, up, together.data());
  for (size_t i = 0; i < 1000; i += 23) {
    float alone = 0.0f;
    Activate(*rig_, activation(), std::span(gate).subspan(i, 1), std::span(up).subspan(i, 1),
             &alone);
    ASSERT_EQ(std::memcmp(&alone, &together[i], sizeof(float)), 0) << i;
  }
}

TEST_P(GatedActivationTest, PassesNanOn) {
  const float gate[3] = {1.0f, NAN, 2.0f}, up[3] = {1.0f, 1.0f, NAN};
  float y[3] = {};
  Activate(*rig_, activation(), gate, up, y);
  EXPECT_FALSE(std::isnan(y[0]));
  EXPECT_TRUE(std::isnan(y[1]));
  EXPECT_TRUE(std::isnan(y[2]));
}

std::string NameOf(Activation activation) {
  if (activation == Activation::kSilu) return "Silu";
  if (activation == Activation::kReluSquared) return "ReluSquared";
  return activation == Activation::kGeluTanh ? "GeluTanh" : "SwigluClamped";
}

INSTANTIATE_TEST_SUITE_P(
    Devices, GatedActivationTest,
    ::testing::Combine(::testing::ValuesIn(testing::OpRigKinds()),
                       ::testing::Values(Activation::kSilu, Activation::kGeluTanh,
                                         Activation::kSwigluClamped, Activation::kReluSquared)),
    [](const auto& test) {
      return std::get<0>(test.param).name + NameOf(std::get<1>(test.param));
    });

}  // namespace
}  // namespace forge
