#include "tests/kernels/attention_scene.h"

// Attention of tokens that are of prompts, which the CPU device may compute in a way of its own.
namespace forge {
namespace {

using Scene = testing::AttentionScene;
using Options = testing::AttentionOptions;
using testing::CacheShape;
using testing::OpRig;
using testing::Piece;

// Numbers may be rounded to 16 bits.
constexpr testing::Tolerance kTolerance = {.relative = 2e-4, .absolute = 2e-5};

class PromptAttentionTest
    : public ::testing::TestWithParam<std::tuple<testing::OpRigKind, KvDType>> {
 protected:
  const testing::OpRigKind& device() const { return std::get<0>(GetParam()); }
  CacheShape Shape(int n_kv_heads, int head_dim, int value_dim) const {
    const KvDType dtype = std::get<1>(GetParam());
    return {.dtype = dtype,
            .block_tokens = 32,
            .n_kv_heads = n_kv_heads,
            .head_dim = testing::HeadSize(dtype, head_dim),
            .value_dim = testing::HeadSize(dtype, value_dim)};
  }
};

struct HeadShape {
  int n_heads, n_kv_heads, head_dim, value_dim;
};

TEST_P(PromptAttentionTest, MatchesReferenceForEveryHeadShape) {
  const std::unique_ptr<OpRig> rig = device().Create();
  const std::vector<Piece> pieces = {{0, 299, 1}, {1, 0, 40}, {2, 250, 20}, {3, 600, 45}};
  uint32_t seed = 1;
  for (const HeadShape& h : {HeadShape{8, 2, 64, 64},
                             {4, 4, 128, 128},
                             {14, 2, 64, 96},
                             {2, 1, 256, 256},
                             {3, 1, 192, 128},
                             {5, 1, 80, 80},
                             {2, 1, 34, 48},
                             {1, 1, 33, 32},
                             {2, 1, 288, 64},
                             {6, 2, 64, 40},
                             {130, 1, 32, 32}}) {
    SCOPED_TRACE("n_heads " + std::to_string(h.n_heads) + ", head_dim " +
                 std::to_string(h.head_dim) + ", seed " + std::to_string(seed));
    Scene scene(*rig, Shape(h.n_kv_heads, h.head_dim, h.value_dim), h.n_heads, pieces, seed++,
                {.are_prompts = true});
    EXPECT_TRUE(testing::Near(scene.Run(*rig), scene.Reference(), kTolerance));
  }
}

TEST_P(PromptAttentionTest, MatchesReferenceWithCapsWindowsAndSinks) {
  const std::unique_ptr<OpRig> rig = device().Create(3);
  Scene scene(*rig, Shape(2, 64, 64), 6, {{0, 0, 40}, {1, 511, 12}, {2, 1029, 70}}, 20);
  for (const int window : {0, 2, 256, 300, 512, 700, 4000}) {
    for (const float soft_cap : {0.0f, 1.5f}) {
      SCOPED_TRACE("window " + std::to_string(window) + ", soft_cap " + std::to_string(soft_cap));
      scene.SetOptions({.soft_cap = soft_cap,
                        .window = window,
                        .has_sinks = window % 3 == 0,
                        .are_prompts = true});
      EXPECT_TRUE(testing::Near(scene.Run(*rig), scene.Reference(), kTolerance));
    }
  }
}

TEST_P(PromptAttentionTest, GivesATokenTheSameBitsHoweverAPromptIsCut) {
  const std::unique_ptr<OpRig> rig = device().Create(3);
  for (const int n_heads : {2, 6, 14}) {
    for (const int window : {0, 300}) {
      constexpr int kFirst = 450, kTokens = 200;
      Scene scene(*rig, Shape(2, 64, 64), n_heads, {{0, kFirst, kTokens}}, 30,
                  {.window = window, .are_prompts = true});
      const std::vector<float> whole = scene.Run(*rig);
      for (const int step : {2, 7, 33, 150}) {
        for (int first = 0; first < kTokens; first += step) {
          const int n_tokens = std::min(step, kTokens - first);
          if (n_tokens == 1) continue;  // the scene takes it for a generated one
          const auto y =
              scene.Run(*rig, {{0, kFirst + first, n_tokens}}, static_cast<size_t>(first));
          ASSERT_EQ(
              std::memcmp(y.data(), whole.data() + static_cast<size_t>(first) * scene.y_stride(),
                          y.size() * sizeof(float)),
              0)
              << n_heads << " heads, window " << window << ", steps of " << step << ", token "
              << first;
        }
      }
    }
  }
}

TEST_P(PromptAttentionTest, LeavesGeneratedTokensTheBitsOfAStepOfTheirOwn) {
  const std::unique_ptr<OpRig> rig = device().Create();
  Scene scene(*rig, Shape(2, 64, 64), 6, {{0, 700, 1}, {1, 1000, 1}, {2, 600, 40}}, 40,
              {.are_prompts = true});
  const std::vector<float> together = scene.Run(*rig);
  const std::vector<float> alone = scene.Run(*rig, {{0, 700, 1}, {1, 1000, 1}});
  EXPECT_EQ(std::memcmp(alone.data(), together.data(), alone.size() * sizeof(float)), 0);
}

TEST_P(PromptAttentionTest, StaysFiniteAndNearWhenScoresAreLarge) {
  const std::unique_ptr<OpRig> rig = device().Create();
  Scene scene(*rig, Shape(1, 64, 64), 2, {{0, 700, 5}}, 61,
              {.q_deviation = 200.0f, .are_prompts = true});
  // Scores of some hundreds are off by a hundredth where 16 bits hold what they are made of.
  EXPECT_TRUE(
      testing::Near(scene.Run(*rig), scene.Reference(), {.relative = 2e-2, .absolute = 2e-2}));
}

INSTANTIATE_TEST_SUITE_P(EveryDeviceAndCache, PromptAttentionTest,
                         ::testing::Combine(::testing::ValuesIn(testing::OpRigKinds()),
                                            ::testing::Values(KvDType::kF32, KvDType::kF16,
                                                              KvDType::kBf16, KvDType::kQ8_0)),
                         [](const auto& test) {
                           return std::get<0>(test.param).name + "_" +
                                  std::string(KvDTypeName(std::get<1>(test.param)));
                         });

}  // namespace
}  // namespace forge
