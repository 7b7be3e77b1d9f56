#include "tests/kernels/attention_scene.h"

namespace forge {
namespace {

using Scene = testing::AttentionScene;
using Options = testing::AttentionOptions;
using testing::Batch;
using testing::CacheShape;
using testing::GuardedArray;
using testing::OpRig;
using testing::PagedCache;
using testing::Piece;

class AttentionTest : public ::testing::TestWithParam<std::tuple<testing::OpRigKind, KvDType>> {
 protected:
  const testing::OpRigKind& device() const { return std::get<0>(GetParam()); }
  KvDType dtype() const { return std::get<1>(GetParam()); }
};

struct HeadShape {
  int n_heads, n_kv_heads, head_dim, value_dim;
};

TEST_P(AttentionTest, MatchesReferenceForEveryHeadAndBlockShape) {
  const std::unique_ptr<OpRig> rig = device().Create();
  const std::vector<HeadShape> heads = {
      {1, 1, 1, 1},     {2, 2, 8, 8},     {8, 4, 16, 16},  {6, 2, 15, 17},   {14, 2, 64, 64},
      {9, 1, 33, 31},   {4, 1, 80, 80},   {32, 8, 64, 64}, {5, 5, 128, 128}, {40, 1, 24, 40},
      {3, 1, 192, 128}, {2, 1, 256, 256}, {40, 1, 32, 48}, {3, 1, 576, 512}};
  const std::vector<Piece> pieces = {{0, 0, 1}, {1, 0, 17}, {2, 30, 5}, {3, 299, 1}, {4, 250, 12}};
  uint32_t seed = 1;
  for (const HeadShape& h : heads) {
    for (const int block_tokens : {16, 32, 7}) {
      SCOPED_TRACE("n_heads " + std::to_string(h.n_heads) + ", n_kv_heads " +
                   std::to_string(h.n_kv_heads) + ", head_dim " + std::to_string(h.head_dim) +
                   ", block_tokens " + std::to_string(block_tokens) + ", seed " +
                   std::to_string(seed));
      const CacheShape shape = {.dtype = dtype(),
                                .block_tokens = block_tokens,
                                .n_kv_heads = h.n_kv_heads,
                                .head_dim = testing::HeadSize(dtype(), h.head_dim),
                                .value_dim = testing::HeadSize(dtype(), h.value_dim)};
      Scene scene(*rig, shape, h.n_heads, pieces, seed++);
      EXPECT_TRUE(testing::Near(scene.Run(*rig), scene.Reference(), testing::kAttentionTolerance));
    }
  }
}

TEST_P(AttentionTest, MatchesReferenceAroundEveryBorderOfDepth) {
  const std::unique_ptr<OpRig> rig = device().Create(3);
  const CacheShape shape = {
      .dtype = dtype(), .block_tokens = 32, .n_kv_heads = 2, .head_dim = 32, .value_dim = 32};
  uint32_t seed = 50;
  for (const int depth : {0, 1, 15, 16, 17, 31, 32, 33, 255, 256, 257, 511, 512, 513, 1500, 4096}) {
    SCOPED_TRACE("depth " + std::to_string(depth) + ", seed " + std::to_string(seed));
    Scene scene(*rig, shape, 6, {{0, depth, 1}, {1, 0, 3}}, seed++);
    EXPECT_TRUE(testing::Near(scene.Run(*rig), scene.Reference(), testing::kAttentionTolerance));
  }
}

TEST_P(AttentionTest, StreamsBesideAPromptHaveTheBitsOfAStepOfTheirOwn) {
  const std::unique_ptr<OpRig> rig = device().Create();
  Scene scene(*rig, {.dtype = dtype()}, 6, {{0, 700, 1}, {1, 0, 1}, {2, 9, 40}}, 90);
  const std::vector<float> together = scene.Run(*rig);
  EXPECT_TRUE(testing::Near(together, scene.Reference(), testing::kAttentionTolerance));
  const std::vector<float> streams = scene.Run(*rig, {{0, 700, 1}, {1, 0, 1}});
  EXPECT_EQ(std::memcmp(streams.data(), together.data(), streams.size() * sizeof(float)), 0);
}

TEST_P(AttentionTest, MatchesReferenceWithCapsWindowsAndSinks) {
  const std::unique_ptr<OpRig> rig = device().Create(3);
  const std::vector<Piece> pieces = {{0, 0, 40}, {1, 250, 12}, {2, 1029, 7}, {3, 511, 2}};
  const std::vector<HeadShape> heads = {{4, 2, 64, 64}, {7, 1, 33, 31}, {5, 5, 16, 16}};
  uint32_t seed = 200;
  const std::vector<int> even_windows = {0, 2, 16, 100, 256, 512, 4000}, odd_windows = {1, 17, 257};
  int n_cases = 0;
  for (const HeadShape& h : heads) {
    for (const int block_tokens : {16, 7}) {
      const CacheShape shape = {.dtype = dtype(),
                                .block_tokens = block_tokens,
                                .n_kv_heads = h.n_kv_heads,
                                .head_dim = testing::HeadSize(dtype(), h.head_dim),
                                .value_dim = testing::HeadSize(dtype(), h.value_dim)};
      Scene scene(*rig, shape, h.n_heads, pieces, seed++);
      for (const int window : block_tokens == 16 ? even_windows : odd_windows) {
        for (const float soft_cap : {0.0f, 1.5f}) {
          const bool has_sinks = (n_cases / 2 + n_cases) % 2 == 0;  // with and without a cap
          ++n_cases;
          SCOPED_TRACE("n_heads " + std::to_string(h.n_heads) + ", window " +
                       std::to_string(window) + ", soft_cap " + std::to_string(soft_cap) +
                       ", sinks " + std::to_string(has_sinks) + ", seed " + std::to_string(seed));
          scene.SetOptions({.soft_cap = soft_cap, .window = window, .has_sinks = has_sinks});
          EXPECT_TRUE(
              testing::Near(scene.Run(*rig), scene.Reference(), testing::kAttentionTolerance));
        }
      }
    }
  }
}

TEST_P(AttentionTest, MatchesReferenceWhereTokensSeeThoseAfterThem) {
  const std::unique_ptr<OpRig> rig = device().Create(3);
  uint32_t seed = 250;
  for (const HeadShape& h : {HeadShape{12, 12, 64, 64}, HeadShape{6, 2, 32, 32}}) {
    const CacheShape shape = {.dtype = dtype(),
                              .block_tokens = 32,
                              .n_kv_heads = h.n_kv_heads,
                              .head_dim = h.head_dim,
                              .value_dim = h.value_dim};
    for (const std::vector<Piece>& pieces :
         {std::vector<Piece>{{0, 0, 70}}, {{0, 0, 1}, {1, 0, 300}, {2, 0, 5}}, {{0, 40, 3}}}) {
      SCOPED_TRACE("n_heads " + std::to_string(h.n_heads) + ", seed " + std::to_string(seed));
      Scene scene(*rig, shape, h.n_heads, pieces, seed++, {.sees_all = true});
      EXPECT_TRUE(testing::Near(scene.Run(*rig), scene.Reference(), testing::kAttentionTolerance));
    }
  }
}

// A sequence runs through a ring that holds its window and a step's tokens, and no more: what a
// step reads is what it would read from a cache that keeps everything.
TEST_P(AttentionTest, ReadsItsWindowFromARingOfBlocks) {
  const std::unique_ptr<OpRig> rig = device().Create();
  uint32_t seed = 300;
  for (const int block_tokens : {7, 16, 32}) {
    for (const int window : {1, 20, 300}) {
      for (const int step_tokens : {1, 13}) {
        SCOPED_TRACE("block_tokens " + std::to_string(block_tokens) + ", window " +
                     std::to_string(window) + ", step_tokens " + std::to_string(step_tokens) +
                     ", seed " + std::to_string(seed));
        const CacheShape shape = {.dtype = dtype(),
                                  .block_tokens = block_tokens,
                                  .n_kv_heads = 2,
                                  .head_dim = 32,
                                  .value_dim = 32};
        constexpr int kPositions = 400;
        const Options options = {.window = window};
        Scene whole(*rig, shape, 4, {{0, 0, kPositions}}, seed++, options);
        const std::vector<float> want = whole.Run(*rig);
        const int ring_blocks = (window + step_tokens - 2) / block_tokens + 2;
        whole.cache().UseRing(ring_blocks);
        for (int first = 0; first < kPositions; first += step_tokens) {
          const Piece step = {0, first, std::min(step_tokens, kPositions - first)};
          Batch batch(whole.cache(), shape, {step});
          ASSERT_TRUE(rig->Run(batch.append_args(whole.cache())).ok());
          if (step_tokens == 1 && first % 11 != 0) continue;  // each takes an emulated GPU a while
          const std::vector<float> y = whole.Run(*rig, {step}, static_cast<size_t>(first));
          const float* part = want.data() + static_cast<size_t>(first) * whole.y_stride();
          if (rig->max_equal_tokens() >= kPositions) {
            ASSERT_EQ(std::memcmp(y.data(), part, y.size() * sizeof(float)), 0) << first;
          } else {
            ASSERT_TRUE(testing::Near(y, std::vector<double>(part, part + y.size()),
                                      testing::kAttentionTolerance))
                << first;
          }
        }
      }
    }
  }
}

TEST_P(AttentionTest, GivesTheValueLittleWhereTheSinkIsGreat) {
  const std::unique_ptr<OpRig> rig = device().Create();
  const CacheShape shape = {.dtype = dtype(), .n_kv_heads = 1, .head_dim = 32, .value_dim = 32};
  std::mt19937 random(5);
  PagedCache cache(shape, 1, 32, random);
  Batch batch(cache, shape, {{0, 0, 1}});
  ASSERT_TRUE(rig->Run(batch.append_args(cache)).ok());
  const std::vector<float> q(2 * 32), sinks = {-INFINITY, 100.0f};
  std::vector<float> y(2 * 32);
  const uint64_t bytes = rig->AttentionWorkspaceBytes(1, 2, 32);
  std::vector<std::byte> workspace(bytes);
  ASSERT_TRUE(rig->Run(AttentionArgs{.batch = batch.view(),
                                     .cache = cache.view(),
                                     .q = q.data(),
                                     .y = y.data(),
                                     .n_heads = 2,
                                     .scale = 1.0f,
                                     .sinks = sinks.data(),
                                     .workspace = {.data = workspace.data(), .bytes = bytes}})
                  .ok());
  std::vector<double> value(32);
  ReferenceKvElements(cache.values_of(0), 32, dtype(), value.data());
  for (size_t d = 0; d < 32; ++d) {
    EXPECT_EQ(static_cast<double>(y[d]), value[d]);
    EXPECT_NEAR(y[32 + d], 0.0f, 1e-40f);
  }
}

// Few results fit the workspace at once where values are wide, so the work runs in several waves.
TEST_P(AttentionTest, MatchesReferenceWhenTheWorkTakesSeveralWaves) {
  const std::unique_ptr<OpRig> rig = device().Create(3);
  const CacheShape shape = {
      .dtype = dtype(), .block_tokens = 32, .n_kv_heads = 1, .head_dim = 32, .value_dim = 1024};
  Scene scene(*rig, shape, 2, {{0, 2000, 80}}, 60);
  EXPECT_TRUE(testing::Near(scene.Run(*rig), scene.Reference(), testing::kAttentionTolerance));
}

TEST_P(AttentionTest, StaysFiniteAndNearWhenScoresAreLarge) {
  const std::unique_ptr<OpRig> rig = device().Create();
  const CacheShape shape = {.dtype = dtype(), .n_kv_heads = 1, .head_dim = 64, .value_dim = 64};
  Scene scene(*rig, shape, 2, {{0, 700, 3}}, 61, {.q_deviation = 200.0f});
  EXPECT_TRUE(testing::Near(scene.Run(*rig), scene.Reference(), testing::kLargeScoreTolerance));
}

TEST_P(AttentionTest, GivesEachTokenTheSameBitsWhateverSharesTheBatch) {
  const std::unique_ptr<OpRig> rig = device().Create();
  std::vector<Piece> pieces = {{0, 0, 40}, {1, 500, 30}, {2, 1023, 1}, {3, 250, 11}};
  if (rig->max_equal_tokens() < 82) pieces = {{0, 0, 5}, {1, 500, 13}, {2, 1023, 1}, {3, 250, 11}};
  const std::vector<std::pair<int, Options>> cases = {
      {2, {}},
      {6, {}},
      {14, {}},
      {6, {.soft_cap = 2.0f, .window = 20, .has_sinks = true}},
      {14, {.soft_cap = 50.0f, .window = 300}},
      {2, {.window = 5}}};
  for (const auto& [n_heads, options] : cases) {
    const CacheShape shape = {.dtype = dtype(), .n_kv_heads = 2, .head_dim = 64, .value_dim = 96};
    Scene scene(*rig, shape, n_heads, pieces, 70, options);
    const std::vector<float> together = scene.Run(*rig);
    size_t token = 0;
    for (const Piece& piece : pieces) {
      for (int i = 0; i < piece.n_tokens; ++i, ++token) {
        const std::vector<float> alone =
            scene.Run(*rig, {{piece.sequence, piece.first_position + i, 1}}, token);
        ASSERT_EQ(std::memcmp(alone.data(), together.data() + token * scene.y_stride(),
                              alone.size() * sizeof(float)),
                  0)
            << "n_heads " << n_heads << ", window " << options.window << ", token " << token;
      }
    }
  }
}

TEST_P(AttentionTest, GivesTheSameBitsForEveryNumberOfThreads) {
  const std::unique_ptr<OpRig> one = device().Create(1);
  const CacheShape shape = {.dtype = dtype(), .n_kv_heads = 2, .head_dim = 64, .value_dim = 64};
  for (const Options& options :
       {Options(), Options{.soft_cap = 30.0f, .window = 700, .has_sinks = true}}) {
    Scene scene(*one, shape, 8, {{0, 3000, 1}, {1, 700, 60}}, 71, options);
    const std::vector<float> want = scene.Run(*one);
    // Without threads a second run is all that there is to compare, and an emulated one takes long.
    const bool has_threads = one->runs_on_threads();
    for (const int n_threads : has_threads ? std::vector<int>{2, 3, 8} : std::vector<int>{1}) {
      const std::unique_ptr<OpRig> rig = device().Create(n_threads);
      for (int round = 0; round < (has_threads ? 5 : 1); ++round) {
        const std::vector<float> got = scene.Run(*rig);
        ASSERT_EQ(std::memcmp(got.data(), want.data(), got.size() * sizeof(float)), 0)
            << n_threads << " threads, window " << options.window;
      }
    }
  }
}

// A later token with numbers out of range must not reach an earlier one of the same chunk.
TEST_P(AttentionTest, KeepsWhatATokenDoesNotSeeOutOfItsResult) {
  const std::unique_ptr<OpRig> rig = device().Create();
  const CacheShape shape = {.dtype = dtype(), .n_kv_heads = 1, .head_dim = 32, .value_dim = 32};
  for (const int n : {20, 60}) {
    Scene scene(*rig, shape, 2, {{0, 0, n}}, 72);
    const std::vector<float> want = scene.Run(*rig);
    std::vector<float> bad(32, NAN);
    Batch last(scene.cache(), shape, {{0, n - 1, 1}});
    RopeAppendArgs append = last.append_args(scene.cache());
    append.keys = bad.data();
    append.values = bad.data();
    ASSERT_TRUE(rig->Run(append).ok());
    const std::vector<float> got = scene.Run(*rig);
    const size_t n_before = static_cast<size_t>(n - 1) * scene.y_stride();
    if (n <= rig->max_equal_tokens()) {
      EXPECT_EQ(std::memcmp(got.data(), want.data(), n_before * sizeof(float)), 0);
    } else {
      const std::vector<double> near(want.begin(), want.begin() + static_cast<int>(n_before));
      EXPECT_TRUE(testing::Near({got.data(), n_before}, near, testing::kAttentionTolerance));
    }
    EXPECT_TRUE(std::isnan(got.back())) << n;
  }
}

// A device that cannot look at the indices gives NaN to the tokens of a sequence that there is not,
// or whose blocks are not in the cache, and to no others; also in steps that are long enough for
// kernels of their own. One that can refuses the step.
TEST_P(AttentionTest, RefusesOrGivesNanWhereABatchContradictsItself) {
  const std::unique_ptr<OpRig> rig = device().Create();
  const CacheShape shape = {.dtype = dtype(), .n_kv_heads = 1, .head_dim = 32, .value_dim = 32};
  for (const int n : {10, 40}) {
    std::mt19937 random(7);
    PagedCache cache(shape, 2, 64, random);
    Batch batch(cache, shape, {{0, 0, n}, {1, 0, n}});
    ASSERT_TRUE(rig->Run(batch.append_args(cache)).ok());
    const auto n_tokens = static_cast<size_t>(2 * n);
    const std::vector<float> q = testing::NormalFloats(n_tokens * 2 * 32, random);
    std::vector<std::byte> workspace(rig->AttentionWorkspaceBytes(2 * n, 2, 32));
    const RaggedBatch good = batch.view();
    std::vector<float> y(q.size());
    const auto run = [&](const RaggedBatch& view) {
      return rig
          ->Run(AttentionArgs{.batch = view,
                              .cache = cache.view(),
                              .q = q.data(),
                              .y = y.data(),
                              .n_heads = 2,
                              .scale = 0.2f,
                              .workspace = {workspace.data(), workspace.size()}})
          .code();
    };
    ASSERT_EQ(run(good), StatusCode::kOk);
    const std::vector<float> want = y;
    std::vector<int32_t> sequences(good.token_sequence, good.token_sequence + n_tokens);
    std::vector<int32_t> tables(good.block_tables, good.block_tables + 2 * good.max_blocks);
    for (const bool in_tables : {false, true}) {
      SCOPED_TRACE((in_tables ? "blocks, " : "sequences, ") + std::to_string(n) + " tokens");
      RaggedBatch bad = good;
      if (in_tables) {
        std::fill_n(tables.begin() + good.max_blocks, good.max_blocks, 1 << 30);
        bad.block_tables = tables.data();
      } else {
        std::fill_n(sequences.begin() + n, n, 7);
        bad.token_sequence = sequences.data();
      }
      if (rig->refuses_indices()) {
        EXPECT_EQ(run(bad), StatusCode::kInvalidArgument);
        EXPECT_EQ(y, want);
        continue;
      }
      ASSERT_EQ(run(bad), StatusCode::kOk);
      for (size_t i = 0; i < y.size(); ++i) {
        if (i < y.size() / 2)
          ASSERT_EQ(y[i], want[i]) << i;
        else
          ASSERT_TRUE(std::isnan(y[i])) << i;
      }
    }
  }
}

TEST_P(AttentionTest, RefusesBadArguments) {
  const std::unique_ptr<OpRig> rig = device().Create();
  std::mt19937 random(1);
  const CacheShape shape = {.dtype = dtype()};
  PagedCache cache(shape, 1, 64, random);
  Batch batch(cache, shape, {{0, 0, 2}});
  const uint64_t bytes = rig->AttentionWorkspaceBytes(2, 4, 64);
  std::vector<std::byte> workspace(bytes);
  std::vector<float> q(2 * 4 * 64), y(2 * 4 * 64);
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
  const StatusCode refused = StatusCode::kInvalidArgument;
  EXPECT_EQ(code_with([](AttentionArgs& a) { a.q = nullptr; }), refused);
  EXPECT_EQ(code_with([](AttentionArgs& a) { a.y = nullptr; }), refused);
  EXPECT_EQ(code_with([](AttentionArgs& a) { a.n_heads = 3; }), refused);
  EXPECT_EQ(code_with([](AttentionArgs& a) { a.n_heads = 0; }), refused);
  EXPECT_EQ(code_with([](AttentionArgs& a) { a.scale = NAN; }), refused);
  EXPECT_EQ(code_with([](AttentionArgs& a) { a.soft_cap = -1.0f; }), refused);
  EXPECT_EQ(code_with([](AttentionArgs& a) { a.soft_cap = INFINITY; }), refused);
  EXPECT_EQ(code_with([](AttentionArgs& a) { a.window = -1; }), refused);
  EXPECT_EQ(code_with([](AttentionArgs& a) { a.workspace.data = nullptr; }), refused);
  EXPECT_EQ(code_with([](AttentionArgs& a) { a.workspace.bytes -= 1; }), refused);
  EXPECT_EQ(code_with([](AttentionArgs& a) { a.cache.keys = nullptr; }), refused);
  EXPECT_EQ(code_with([](AttentionArgs& a) { a.batch.max_blocks = -1; }), refused);
  if (rig->refuses_indices()) {
    EXPECT_EQ(code_with([](AttentionArgs& a) { a.cache.n_blocks = 1; }), refused);
  }
  EXPECT_EQ(code_with([](AttentionArgs& a) {
              a.cache.dtype = KvDType::kQ8_0;
              a.cache.head_dim = 48;
            }),
            refused);
  EXPECT_EQ(code_with([](AttentionArgs& a) {
              a.cache.dtype = KvDType::kQ8_0;
              a.cache.value_dim = 31;
            }),
            refused);
  EXPECT_EQ(code_with([](AttentionArgs& a) { a.cache.dtype = static_cast<KvDType>(4); }), refused);
  EXPECT_EQ(code_with([](AttentionArgs& a) { a.batch.n_tokens = 0; }), StatusCode::kOk);
}

INSTANTIATE_TEST_SUITE_P(Devices, AttentionTest,
                         ::testing::Combine(::testing::ValuesIn(testing::OpRigKinds()),
                                            ::testing::ValuesIn(testing::KvDTypes())),
                         [](const auto& test) {
                           return std::get<0>(test.param).name + "_" +
                                  std::string(KvDTypeName(std::get<1>(test.param)));
                         });

}  // namespace
}  // namespace forge
