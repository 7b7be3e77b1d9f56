// What is read of models whose keys and values are products of a latent.
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "engine/arch/architecture.h"
#include "tests/engine/arch/described.h"
#include "tests/engine/arch/rejection_case.h"
#include "tests/support/tiny_model.h"

namespace forge {
namespace {

using testing::Described;
using testing::Find;
using testing::GgufBuilder;
using testing::Keys;
using testing::MakeTinyModel;

// 4 heads of 12 and 8 turned elements, a latent of 24.
TEST(LatentConfigTest, AttentionHasTheHeadsOfTheCache) {
  for (const bool is_fused : {false, true}) {
    const ModelDescription model =
        Described({.architecture = "deepseek2", .has_fused_latent = is_fused});
    const ModelConfig& config = model.config;
    EXPECT_EQ(config.latent.rank, 24u);
    EXPECT_EQ(config.latent.query_rank, 40u);
    EXPECT_EQ(config.latent.plain_dim, 12u);
    EXPECT_EQ(config.latent.value_dim, 20u);
    EXPECT_EQ(config.latent.has_fused_matrices, is_fused);
    EXPECT_EQ(config.rope.dimension, 8u);
    EXPECT_EQ(config.n_kv_heads, 1u);
    EXPECT_EQ(config.head_dim, 8u + 24);
    EXPECT_EQ(config.value_dim, 24u);
    EXPECT_EQ(config.ProjectedQueryDimOf(0), 20u);
    EXPECT_EQ(config.OutputDimOf(0), 20u);
    EXPECT_DOUBLE_EQ(config.attention_scale, 1.0 / std::sqrt(20.0));
    EXPECT_EQ(Find(model, WeightRole::kAttnOutput, 0)->n_cols, 4u * 20);
    EXPECT_EQ(Find(model, WeightRole::kAttnV, 0), nullptr);
  }
  EXPECT_FALSE(Described({.architecture = "llama"}).config.has_latent());
}

TEST(LatentConfigTest, QueriesAreProductsOfALatentOrOfTheHiddenState) {
  const ModelDescription model = Described({.architecture = "deepseek2"});
  EXPECT_EQ(Find(model, WeightRole::kAttnQ, 1)->file_tensor, "blk.1.attn_q_b.weight");
  EXPECT_EQ(Find(model, WeightRole::kQueryLatent, 1)->n_rows, 40u);
  const ModelDescription lite = Described({.architecture = "deepseek2", .is_lite = true});
  EXPECT_EQ(Find(lite, WeightRole::kAttnQ, 1)->file_tensor, "blk.1.attn_q.weight");
  EXPECT_EQ(Find(lite, WeightRole::kQueryLatent, 1), nullptr);
  EXPECT_EQ(lite.config.experts.gating, ExpertGating::kSoftmaxOfAll);
  EXPECT_FALSE(lite.config.experts.normalizes_weights);
  EXPECT_FALSE(lite.config.experts.has_selection_bias);
}

TEST(LatentConfigTest, OneTensorHoldsTheLatentAndWhatIsTurned) {
  const ModelDescription model = Described({.architecture = "deepseek2"});
  const TensorSpec* const latent = Find(model, WeightRole::kLatent, 0);
  const TensorSpec* const turned = Find(model, WeightRole::kAttnK, 0);
  EXPECT_EQ(latent->file_tensor, turned->file_tensor);
  EXPECT_EQ(latent->n_rows, 24u);
  EXPECT_EQ(turned->first_row, 24u);
  EXPECT_EQ(turned->n_rows, 8u);
}

TEST(LatentConfigTest, OlderFilesHaveTheMatricesOfAHeadOneAboveTheOther) {
  const ModelDescription model = Described({.architecture = "deepseek2", .has_fused_latent = true});
  const TensorSpec* const keys = Find(model, WeightRole::kHeadKeys, 0);
  const TensorSpec* const values = Find(model, WeightRole::kHeadValues, 0);
  EXPECT_EQ(keys->file_tensor, "blk.0.attn_kv_b.weight");
  EXPECT_EQ(values->file_tensor, keys->file_tensor);
  EXPECT_TRUE(keys->is_transposed);
  EXPECT_FALSE(values->is_transposed);
  EXPECT_EQ(values->first_row, 12u);
  EXPECT_EQ(keys->slice_stride, 32u);
  EXPECT_EQ(values->slice_stride, 32u);
  EXPECT_EQ(keys->n_slices, 4u);
}

// As DeepSeek's softmax_scale, of 0.1 mscale_all_dim; what is turned is not magnified then.
TEST(LatentConfigTest, YarnScalesQueriesTimesKeys) {
  const auto scaled = [](float multiplier) {
    GgufBuilder builder = MakeTinyModel({.architecture = "deepseek2"});
    builder.AddString("deepseek2.rope.scaling.type", "yarn")
        .AddFloat32("deepseek2.rope.scaling.factor", 40)
        .AddFloat32("deepseek2.rope.scaling.yarn_log_multiplier", multiplier);
    return Described(builder).config;
  };
  const double mscale = 1.0 + 0.0707f * std::log(40.0);
  EXPECT_NEAR(scaled(0.0707f).attention_scale, mscale * mscale / std::sqrt(20.0), 1e-9);
  EXPECT_EQ(scaled(0.0707f).rope.yarn_log_multiplier, 1.0);
  EXPECT_DOUBLE_EQ(scaled(0.0f).attention_scale, 1.0 / std::sqrt(20.0));
  EXPECT_EQ(scaled(0.0f).rope.yarn_log_multiplier, 0.0);
}

ModelConfig ReadConfig(const GgufBuilder& builder) {
  const testing::TempFile path(builder.Build());
  return FindArchitecture("deepseek2")->read_config(**GgufFile::Open(path.path())).value();
}

// As Youtu-LLM, whose files say so with the number of dense layers.
TEST(LatentConfigTest, AModelMayHaveNoExperts) {
  Keys keys("expert_count", "deepseek2");
  keys.builder.AddUint32("deepseek2.leading_dense_block_count", 2)
      .AddUint32("deepseek2.expert_shared_count", 0);
  const ModelConfig config = ReadConfig(keys.builder);
  EXPECT_EQ(config.experts.count, 0u);
  EXPECT_FALSE(config.HasExperts(1));
}

// GLM 4.7 Flash, whose first files do not name the function.
TEST(LatentConfigTest, RoutersWithoutANameAreSoftmaxesButForOneModel) {
  const auto gating = [](uint32_t n_layers, uint32_t n_vocab) {
    Keys keys("block_count", "deepseek2");
    keys.builder.AddUint32("deepseek2.block_count", n_layers);
    std::string file = keys.builder.Build();
    const std::string name = testing::GgufString("deepseek2.vocab_size");
    file.replace(file.find(name) + name.size() + 4, 4, testing::LittleEndian32(n_vocab));
    const testing::TempFile path(file);
    return FindArchitecture("deepseek2")
        ->read_config(**GgufFile::Open(path.path()))
        .value()
        .experts.gating;
  };
  EXPECT_EQ(gating(27, 102400), ExpertGating::kSoftmaxOfAll);
  EXPECT_EQ(gating(47, 154880), ExpertGating::kSigmoid);
  EXPECT_EQ(gating(48, 154880), ExpertGating::kSigmoid);
  EXPECT_EQ(gating(48, 128256), ExpertGating::kSoftmaxOfAll);
}

}  // namespace
}  // namespace forge
