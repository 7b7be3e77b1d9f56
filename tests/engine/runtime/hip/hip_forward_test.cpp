// What a step asks of the HIP runtime.
#include <gmock/gmock.h>

#include <string>

#include "tests/engine/runtime/forward_harness.h"
#include "tests/hip_emulator/control.h"
#include "tests/support/temporary_files.h"
#include "tests/support/tiny_model.h"

namespace forge::testing {
namespace {

using ::testing::IsEmpty;

class HipForwardTest : public ::testing::Test {
 protected:
  void SetUp() override { emulator::Reset(); }
  void TearDown() override { EXPECT_THAT(emulator::TakeFaults(), IsEmpty()); }

  // Calls of a function of the runtime, or launches of a kernel, while `sequences` of them decode
  // one token each.
  static uint64_t CallsOfStep(ForwardHarness& model, const std::string& name,
                              uint32_t sequences = 1) {
    const uint64_t before = emulator::Calls(name);
    std::vector<ForwardHarness::Part> parts;
    for (uint32_t s = 0; s < sequences; ++s) parts.push_back({s, {TokenId{7}}});
    model.Step(parts);
    return emulator::Calls(name) - before;
  }
};

TEST_F(HipForwardTest, OneCopyTakesAStepsArraysToTheDeviceAndOneItsLogitsBack) {
  const TempFile file(MakeTinyModel({.architecture = "gemma3"}).Build());  // two groups of layers
  ForwardHarness model(file.path(), {.context_length = 128, .max_sequences = 2});
  EXPECT_EQ(CallsOfStep(model, "hipMemcpyAsync", 1), 2u);
  EXPECT_EQ(CallsOfStep(model, "hipMemcpyAsync", 2), 2u);
}

TEST_F(HipForwardTest, LaunchesAreTheSameWhileASequenceTakesBlocks) {
  const TempFile file(MakeTinyModel({.n_context = 1024}).Build());
  ForwardHarness model(file.path(), {.context_length = 1024});
  const auto updates_at = [&](uint32_t position) {
    const uint64_t before = emulator::Calls("hipGraphExecKernelNodeSetParams");
    KvBlockTables blocks = model.blocks(0);
    blocks[0].resize(position / kKvBlockTokens + 1);
    const std::vector<TokenId> tokens = {7};
    StepBatch batch;
    batch.sequences.push_back({.tokens = tokens, .first_position = position, .blocks = blocks});
    EXPECT_TRUE(model.forward().Run(batch, [](size_t, size_t, const StepRow&) {}).ok());
    return emulator::Calls("hipGraphExecKernelNodeSetParams") - before;
  };
  for (const uint32_t position : {257u, 258u, 259u, 288u, 320u, 511u})
    EXPECT_EQ(updates_at(position), 0u) << position;
  EXPECT_GT(updates_at(512), 0u) << "no graph was in use";
}

TEST_F(HipForwardTest, TheContextOfAStreamIsSplitAmongBlocksAlsoBesideAPrompt) {
  const TempFile file(MakeTinyModel({.n_layers = 3}).Build());
  ForwardHarness model(file.path(), {.context_length = 512, .max_sequences = 2});
  const uint64_t before = emulator::Calls("combine_splits");
  model.Step({{0, {TokenId{7}}}, {1, std::vector<TokenId>(40, 9)}});
  EXPECT_EQ(emulator::Calls("combine_splits") - before, 3u);
}

TEST_F(HipForwardTest, PairsOfTokenAndExpertAreSortedOnceInALayer) {
  const TempFile file(MakeTinyModel({.architecture = "qwen3moe", .n_layers = 3}).Build());
  ForwardHarness model(file.path(), {.context_length = 128});
  EXPECT_EQ(CallsOfStep(model, "plan_pairs"), 3u);
}

// Of three layers two have experts.
TEST_F(HipForwardTest, HeadsOfALatentAreSortedOnceInALayer) {
  const TempFile file(MakeTinyModel({.architecture = "deepseek2", .n_layers = 3}).Build());
  ForwardHarness model(file.path(), {.context_length = 128});
  EXPECT_EQ(CallsOfStep(model, "plan_pairs"), 3u + 2);
  EXPECT_EQ(CallsOfStep(model, "join_columns"), 3u * 3);
}

}  // namespace
}  // namespace forge::testing
