#include "bench/model_cost.h"

#include <gtest/gtest.h>

#include "tests/support/temporary_files.h"
#include "tests/support/tiny_model.h"
#include "tools/synth/synth_model.h"

namespace forge {
namespace {

ModelCost CostOf(const std::string& shape, const std::string& type, uint32_t n_layers) {
  const Result<SynthModel> model =
      PlanSynthModel({.shape = shape, .type = type, .n_layers = n_layers});
  EXPECT_TRUE(model.ok()) << model.status().ToString();
  const testing::TempFile file(model->header);
  std::filesystem::resize_file(file.path(), model->file_bytes());
  const Result<ModelCost> cost = ReadModelCost(file.path());
  EXPECT_TRUE(cost.ok()) << cost.status().ToString();
  return cost.ok() ? *cost : ModelCost();
}

TEST(ModelCostTest, CountsATiedEmbeddingAsTheOutput) {
  const ModelCost cost = CostOf("llama-3.2-1b", "F16", 16);
  EXPECT_NEAR(static_cast<double>(cost.multiplied) * 1e-9, 1.236 - 0.263, 0.001);
  EXPECT_EQ(cost.output_multiplied, 2048u * 128256u);
  EXPECT_NEAR(static_cast<double>(cost.weight_bytes) * 1e-9, 2.472, 0.002);
  EXPECT_EQ(cost.kv_elements, 16u * 8 * (64 + 64));
}

TEST(ModelCostTest, LeavesOutAnEmbeddingOfWhichOneRowIsRead) {
  const ModelCost cost = CostOf("llama-3.1-8b", "Q8_0", 32);
  EXPECT_NEAR(static_cast<double>(cost.multiplied) * 1e-9, 8.03 - 2 * 0.525, 0.001);
  EXPECT_EQ(cost.output_multiplied, 4096u * 128256u);
}

TEST(ModelCostTest, CountsTheExpertsThatATokenUses) {
  const ModelCost cost = CostOf("qwen3-30b-a3b", "Q4_0", 48);
  EXPECT_NEAR(static_cast<double>(cost.multiplied) * 1e-9, 3.35 - 2 * 0.311, 0.02);
}

TEST(ModelCostTest, LeavesOutLayersThatGuessFurtherAhead) {
  const auto cost_of = [](uint32_t n_layers) {
    const testing::TempFile file(
        testing::MakeTinyModel({.architecture = "glm4moe", .n_layers = n_layers}).Build());
    return *ReadModelCost(file.path());
  };
  const ModelCost two = cost_of(2), three = cost_of(3), four = cost_of(4);
  EXPECT_EQ(two.kv_elements, 2u * 2 * (16 + 16));
  // A dense layer, and then one with experts after another.
  EXPECT_EQ(three.multiplied - two.multiplied, four.multiplied - three.multiplied);
  const uint64_t attention = 64 * (2 * 64 + 2 * 32), experts = 64 * 4 + 3 * 64 * (2 * 48 + 96);
  EXPECT_EQ(three.multiplied - two.multiplied, attention + experts);
  EXPECT_EQ(two.multiplied, 2 * attention + 3 * 64 * 96 + experts);
}

// A latent of 24 elements, with 8 that are turned.
TEST(ModelCostTest, CountsTheLatentOfAllHeadsOnce) {
  for (const bool is_fused : {false, true}) {
    const testing::TempFile file(
        testing::MakeTinyModel({.architecture = "deepseek2", .has_fused_latent = is_fused})
            .Build());
    EXPECT_EQ(ReadModelCost(file.path())->kv_elements, 2u * (24 + 8));
  }
}

TEST(ModelCostTest, AddsTheCacheOfTheTestsMeanDepth) {
  const ModelCost cost = {
      .weight_bytes = 1000, .multiplied = 0, .output_multiplied = 0, .kv_elements = 32};
  EXPECT_EQ(cost.BytesPerToken({.n_gen = 20, .n_depth = 100}), 1000 + 64 * 110);
  EXPECT_EQ(cost.BytesPerToken({.n_gen = 20, .n_depth = 100}, KvDType::kQ8_0), 1000 + 34 * 110);
}

TEST(ModelCostTest, RefusesAFileThatIsNoModel) {
  EXPECT_FALSE(ReadModelCost("/no/such/file.gguf").ok());
  const testing::TempFile file(testing::GgufBuilder().Build());
  EXPECT_EQ(ReadModelCost(file.path()).status().code(), StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace forge
