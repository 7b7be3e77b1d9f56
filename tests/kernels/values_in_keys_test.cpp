// Attention over a cache whose values are the last elements of their keys.
#include <cstring>

#include "tests/kernels/attention_scene.h"

namespace forge {
namespace {

using testing::AttentionScene;
using testing::Batch;
using testing::CacheShape;
using testing::OpRig;
using testing::PagedCache;
using testing::Piece;

class ValuesInKeysTest : public ::testing::TestWithParam<std::tuple<testing::OpRigKind, KvDType>> {
 protected:
  const testing::OpRigKind& device() const { return std::get<0>(GetParam()); }
  KvDType dtype() const { return std::get<1>(GetParam()); }
  CacheShape Shape(int n_kv_heads, int head_dim, int value_dim, int block_tokens = 32) const {
    return {.dtype = dtype(),
            .block_tokens = block_tokens,
            .n_kv_heads = n_kv_heads,
            .head_dim = testing::HeadSize(dtype(), head_dim),
            .value_dim = testing::HeadSize(dtype(), value_dim),
            .values_in_keys = true};
  }
};

struct HeadShape {
  int n_heads, n_kv_heads, head_dim, value_dim;
};

TEST_P(ValuesInKeysTest, MatchesReferenceForEveryHeadAndBlockShape) {
  const std::unique_ptr<OpRig> rig = device().Create();
  const std::vector<HeadShape> heads = {{1, 1, 1, 1},    {2, 1, 9, 8},   {8, 4, 16, 16},
                                        {6, 2, 37, 17},  {9, 1, 96, 64}, {20, 1, 72, 64},
                                        {3, 1, 576, 512}};
  const std::vector<Piece> pieces = {{0, 0, 1}, {1, 0, 17}, {2, 30, 5}, {3, 299, 1}, {4, 250, 12}};
  uint32_t seed = 1;
  for (const HeadShape& h : heads)
    for (const int block_tokens : {32, 7}) {
      SCOPED_TRACE("n_heads " + std::to_string(h.n_heads) + ", head_dim " +
                   std::to_string(h.head_dim) + ", value_dim " + std::to_string(h.value_dim) +
                   ", block_tokens " + std::to_string(block_tokens) + ", seed " +
                   std::to_string(seed));
      AttentionScene scene(*rig, Shape(h.n_kv_heads, h.head_dim, h.value_dim, block_tokens),
                           h.n_heads, pieces, seed++);
      EXPECT_TRUE(testing::Near(scene.Run(*rig), scene.Reference(), testing::kAttentionTolerance));
    }
}

TEST_P(ValuesInKeysTest, MatchesReferenceAroundEveryBorderOfDepthWithCapsAndSinks) {
  const std::unique_ptr<OpRig> rig = device().Create(3);
  uint32_t seed = 50;
  for (const int depth : {0, 1, 15, 16, 31, 32, 255, 256, 257, 511, 513, 1500}) {
    SCOPED_TRACE("depth " + std::to_string(depth) + ", seed " + std::to_string(seed));
    AttentionScene scene(*rig, Shape(1, 40, 32), 5, {{0, depth, 1}, {1, 0, 3}}, seed++,
                         {.soft_cap = depth % 2 == 0 ? 0.0f : 1.5f, .has_sinks = depth % 3 == 0});
    EXPECT_TRUE(testing::Near(scene.Run(*rig), scene.Reference(), testing::kAttentionTolerance));
  }
}

// Rows of a tile that see different positions go another way than rows that see the same.
TEST_P(ValuesInKeysTest, ATokenHasTheSameBitsAloneAndAmongOthers) {
  const std::unique_ptr<OpRig> rig = device().Create();
  constexpr int kTokens = 21;
  for (const int n_heads : {1, 3, 16}) {
    SCOPED_TRACE("n_heads " + std::to_string(n_heads));
    AttentionScene scene(*rig, Shape(1, 40, 32), n_heads, {{0, 250, kTokens}}, 7);
    const std::vector<float> together = scene.Run(*rig);
    for (const int n_step : {1, 4}) {
      std::vector<float> apart;
      for (int token = 0; token < kTokens; token += n_step) {
        const std::vector<float> step =
            scene.Run(*rig, {{0, 250 + token, std::min(n_step, kTokens - token)}},
                      static_cast<size_t>(token));
        apart.insert(apart.end(), step.begin(), step.end());
      }
      ASSERT_EQ(apart.size(), together.size());
      EXPECT_EQ(std::memcmp(apart.data(), together.data(), apart.size() * sizeof(float)), 0);
    }
  }
}

TEST_P(ValuesInKeysTest, RefusesAWindowAndValuesLongerThanKeys) {
  const std::unique_ptr<OpRig> rig = device().Create();
  std::mt19937 random(1);
  const CacheShape shape = Shape(1, 64, 32);
  PagedCache cache(shape, 1, 64, random);
  Batch batch(cache, shape, {{0, 0, 2}});
  ASSERT_TRUE(rig->Run(batch.append_args(cache)).ok());
  const uint64_t bytes = rig->AttentionWorkspaceBytes(2, 4, 96);
  std::vector<std::byte> workspace(bytes);
  std::vector<float> q(2 * 4 * 64), y(2 * 4 * 96);
  const auto code_with = [&](auto change) {
    AttentionArgs args = {.batch = batch.view(),
                          .cache = cache.view(),
                          .q = q.data(),
                          .y = y.data(),
                          .n_heads = 4,
                          .scale = 0.125f,
                          .workspace = {.data = workspace.data(), .bytes = bytes}};
    change(args);
    return rig->Run(args).code();
  };
  EXPECT_EQ(code_with([](AttentionArgs& a) { a.window = 4; }), StatusCode::kUnimplemented);
  EXPECT_EQ(code_with([](AttentionArgs& a) { a.cache.value_dim = 96; }),
            StatusCode::kInvalidArgument);
  EXPECT_EQ(code_with([](AttentionArgs& a) { a.cache.values_in_keys = false; }),
            StatusCode::kInvalidArgument);
  EXPECT_EQ(code_with([](AttentionArgs&) {}), StatusCode::kOk);
}

INSTANTIATE_TEST_SUITE_P(Devices, ValuesInKeysTest,
                         ::testing::Combine(::testing::ValuesIn(testing::OpRigKinds()),
                                            ::testing::ValuesIn(testing::KvDTypes())),
                         [](const auto& test) {
                           return std::get<0>(test.param).name + "_" +
                                  std::string(KvDTypeName(std::get<1>(test.param)));
                         });

}  // namespace
}  // namespace forge
