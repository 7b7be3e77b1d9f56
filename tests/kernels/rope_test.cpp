#include "kernels/reference/reference.h"
#include "tests/kernels/op_test.h"

namespace forge {
namespace {

using testing::GuardedArray;
using testing::OpRig;

class RopeTest : public ::testing::TestWithParam<testing::OpRigKind> {};

// theta^(-2 i / rotary_dim), as models use it.
std::vector<float> Frequencies(int rotary_dim, double theta = 10000.0) {
  std::vector<float> frequencies;
  for (int i = 0; i < rotary_dim / 2; ++i)
    frequencies.push_back(static_cast<float>(std::pow(theta, -2.0 * i / rotary_dim)));
  return frequencies;
}

void CheckShape(OpRig& rig, const ReferenceRopeShape& shape, float scale, uint32_t seed) {
  SCOPED_TRACE("n_tokens " + std::to_string(shape.n_tokens) + ", n_heads " +
               std::to_string(shape.n_heads) + ", head_dim " + std::to_string(shape.head_dim) +
               ", rotary_dim " + std::to_string(shape.rotary_dim) +
               (shape.halves ? ", halves" : ", neighbours") + ", seed " + std::to_string(seed));
  std::mt19937 random(seed);
  const auto n = static_cast<size_t>(shape.n_tokens * shape.n_heads * shape.head_dim);
  const std::vector<float> x = testing::NormalFloats(n, random);
  std::vector<int32_t> positions(static_cast<size_t>(shape.n_tokens));
  for (int32_t& position : positions) position = static_cast<int32_t>(random() % 1'000'001);
  const std::vector<float> frequencies = Frequencies(static_cast<int>(shape.rotary_dim));
  std::vector<double> want(n);
  ReferenceRope(x.data(), positions.data(), frequencies.data(), static_cast<double>(scale),
                want.data(), shape);
  GuardedArray<float> y(n);
  y.Assign(x);
  ASSERT_TRUE(rig.Run(RopeArgs{.x = y.data(),
                               .positions = positions.data(),
                               .frequencies = frequencies.data(),
                               .n_tokens = static_cast<int>(shape.n_tokens),
                               .n_heads = static_cast<int>(shape.n_heads),
                               .head_dim = static_cast<int>(shape.head_dim),
                               .rotary_dim = static_cast<int>(shape.rotary_dim),
                               .halves = shape.halves,
                               .scale = scale})
                  .ok());
  EXPECT_TRUE(testing::Near(y.span(), want, testing::kRopeTolerance));
  EXPECT_TRUE(y.GuardsIntact());
  for (int64_t row = 0; row < shape.n_tokens * shape.n_heads; ++row) {
    const auto rest = static_cast<size_t>(row * shape.head_dim + shape.rotary_dim);
    const auto bytes = static_cast<size_t>(shape.head_dim - shape.rotary_dim) * sizeof(float);
    ASSERT_EQ(std::memcmp(y.data() + rest, x.data() + rest, bytes), 0)
        << "elements beyond rotary_dim changed in row " << row;
  }
}

TEST_P(RopeTest, MatchesReferenceUpToPositionOneMillion) {
  const std::unique_ptr<OpRig> rig = GetParam().Create();
  uint32_t seed = 1;
  for (const bool halves : {false, true}) {
    for (const int head_dim : {2, 6, 16, 30, 48, 64, 80, 128, 256, 576}) {
      for (const int n_heads : {1, 3})
        CheckShape(*rig,
                   {.n_tokens = 2,
                    .n_heads = n_heads,
                    .head_dim = head_dim,
                    .rotary_dim = head_dim,
                    .halves = halves},
                   1.0f, seed++);
    }
    CheckShape(*rig,
               {.n_tokens = 70, .n_heads = 9, .head_dim = 64, .rotary_dim = 64, .halves = halves},
               1.0f, seed++);
  }
}

TEST_P(RopeTest, LeavesElementsBeyondTheRotaryWidthUntouched) {
  const std::unique_ptr<OpRig> rig = GetParam().Create();
  uint32_t seed = 100;
  for (const bool halves : {false, true})
    for (const int rotary_dim : {0, 2, 18, 32, 62})
      CheckShape(
          *rig,
          {.n_tokens = 3, .n_heads = 2, .head_dim = 64, .rotary_dim = rotary_dim, .halves = halves},
          1.0f, seed++);
}

TEST_P(RopeTest, ScalesRotatedElementsOnly) {
  const std::unique_ptr<OpRig> rig = GetParam().Create();
  for (const bool halves : {false, true})
    CheckShape(*rig,
               {.n_tokens = 3, .n_heads = 2, .head_dim = 32, .rotary_dim = 24, .halves = halves},
               1.1386294f, 7);
}

TEST_P(RopeTest, RefusesBadArguments) {
  const std::unique_ptr<OpRig> rig = GetParam().Create();
  float x[8] = {}, frequencies[4] = {};
  const int32_t positions[1] = {};
  const RopeArgs good = {.x = x,
                         .positions = positions,
                         .frequencies = frequencies,
                         .n_tokens = 1,
                         .n_heads = 1,
                         .head_dim = 8,
                         .rotary_dim = 8};
  const auto code_with = [&](auto change) {
    RopeArgs args = good;
    change(args);
    return rig->Run(args).code();
  };
  EXPECT_EQ(code_with([](RopeArgs&) {}), StatusCode::kOk);
  EXPECT_EQ(code_with([](RopeArgs& a) { a.n_tokens = 0; }), StatusCode::kOk);
  const StatusCode refused = StatusCode::kInvalidArgument;
  EXPECT_EQ(code_with([](RopeArgs& a) { a.x = nullptr; }), refused);
  EXPECT_EQ(code_with([](RopeArgs& a) { a.positions = nullptr; }), refused);
  EXPECT_EQ(code_with([](RopeArgs& a) { a.frequencies = nullptr; }), refused);
  EXPECT_EQ(code_with([](RopeArgs& a) { a.n_tokens = -1; }), refused);
  EXPECT_EQ(code_with([](RopeArgs& a) { a.n_heads = 0; }), refused);
  EXPECT_EQ(code_with([](RopeArgs& a) { a.head_dim = 0; }), refused);
  EXPECT_EQ(code_with([](RopeArgs& a) { a.rotary_dim = 7; }), refused);
  EXPECT_EQ(code_with([](RopeArgs& a) { a.rotary_dim = 10; }), refused);
  EXPECT_EQ(code_with([](RopeArgs& a) { a.rotary_dim = -2; }), refused);
  EXPECT_EQ(code_with([](RopeArgs& a) { a.scale = INFINITY; }), refused);
}

INSTANTIATE_TEST_SUITE_P(Devices, RopeTest, ::testing::ValuesIn(testing::OpRigKinds()),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace forge
