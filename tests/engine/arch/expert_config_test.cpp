// Which layers have experts, how these are chosen and weighed, and what is beside them.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/arch/architecture.h"
#include "engine/gguf/gguf_file.h"
#include "tests/engine/arch/described.h"
#include "tests/engine/arch/rejection_case.h"
#include "tests/support/temporary_files.h"
#include "tests/support/tiny_model.h"

namespace forge {
namespace {

using testing::Described;
using testing::Find;
using testing::GgufBuilder;
using testing::Keys;
using testing::MakeTinyModel;
using testing::TinyModelOptions;

TEST(ExpertConfigTest, TheFirstLayersMayHaveADenseNet) {
  for (const char* family : {"bailingmoe2", "deepseek2", "dots1", "ernie4_5-moe", "glm4moe"}) {
    SCOPED_TRACE(family);
    const ModelDescription model = Described({.architecture = family, .n_layers = 3});
    EXPECT_EQ(model.config.experts.n_dense_layers, 1u);
    EXPECT_TRUE(model.config.HasDenseNets());
    for (const int layer : {0, 1, 2}) {
      EXPECT_EQ(model.config.HasExperts(static_cast<uint32_t>(layer)), layer != 0);
      EXPECT_EQ(Find(model, WeightRole::kFfnGate, layer) != nullptr, layer == 0);
      EXPECT_EQ(Find(model, WeightRole::kRouter, layer) != nullptr, layer != 0);
    }
    EXPECT_EQ(Find(model, WeightRole::kFfnGate, 0)->n_rows, 96u);
    EXPECT_EQ(Find(model, WeightRole::kExpertGate, 1)->n_rows, 48u);
  }
  EXPECT_FALSE(Described({.architecture = "glm4moe", .n_layers = 1}).config.HasDenseNets());
}

TEST(ExpertConfigTest, HunyuansSharedExpertIsAsLongAsADenseNetUnlessTheFileSays) {
  EXPECT_EQ(Described({.architecture = "hunyuan-moe"}).config.experts.n_shared_ff, 48u);
  const Keys keys("", "hunyuan-moe");
  const testing::TempFile path(keys.builder.Build());
  const auto file = GgufFile::Open(path.path());
  const auto config = FindArchitecture("hunyuan-moe")->read_config(**file);
  ASSERT_TRUE(config.ok()) << config.status().ToString();
  EXPECT_EQ(config->experts.n_shared_ff, 96u);
  EXPECT_FALSE(config->experts.has_shared_gate);
  EXPECT_TRUE(config->experts.normalizes_weights);
}

TEST(ExpertConfigTest, ExpertsAreChosenByWhatTheFileNames) {
  const auto experts = [](const char* family) {
    return Described({.architecture = family}).config.experts;
  };
  EXPECT_EQ(experts("glm4moe").gating, ExpertGating::kSigmoid);
  EXPECT_TRUE(experts("glm4moe").normalizes_weights);
  EXPECT_EQ(experts("glm4moe").weight_scale, 1.75);
  EXPECT_TRUE(experts("glm4moe").has_selection_bias);
  EXPECT_EQ(experts("ernie4_5-moe").gating, ExpertGating::kSoftmaxOfAll);
  EXPECT_TRUE(experts("ernie4_5-moe").normalizes_weights);
  EXPECT_TRUE(experts("ernie4_5-moe").has_selection_bias);
  for (const char* family : {"dots1", "minimax-m2"}) {
    EXPECT_EQ(experts(family).gating, ExpertGating::kSigmoid);
    EXPECT_TRUE(experts(family).has_selection_bias);
  }
  EXPECT_EQ(experts("bailingmoe").gating, ExpertGating::kSoftmaxOfAll);
  EXPECT_FALSE(experts("bailingmoe").normalizes_weights);
  EXPECT_FALSE(experts("qwen3moe").has_selection_bias);
}

TEST(ExpertConfigTest, ExpertsMayBeInGroups) {
  const ExpertConfig experts =
      Described({.architecture = "bailingmoe2", .n_experts = 12, .n_experts_used = 3})
          .config.experts;
  EXPECT_EQ(experts.n_groups, 2u);
  EXPECT_EQ(experts.n_groups_used, 1u);
  EXPECT_EQ(experts.n_shared_ff, 2u * 48);
  EXPECT_EQ(Described({.architecture = "glm4moe"}).config.experts.n_groups, 1u);
}

TEST(ExpertConfigTest, SharedExpertsHaveALengthOrAreCounted) {
  const ModelDescription ernie = Described({.architecture = "ernie4_5-moe"});
  EXPECT_EQ(ernie.config.experts.n_shared_ff, 48u);
  EXPECT_FALSE(ernie.config.experts.has_shared_gate);
  const ModelDescription glm = Described({.architecture = "glm4moe"});
  EXPECT_EQ(glm.config.experts.n_shared_ff, 2u * 48);
  EXPECT_EQ(Described({.architecture = "bailingmoe"}).config.experts.n_shared_ff, 2u * 96);
  EXPECT_EQ(Find(glm, WeightRole::kSharedDown, 1)->n_cols, 96u);
  EXPECT_EQ(Find(glm, WeightRole::kSharedRouter, 1), nullptr);
}

TEST(ExpertConfigTest, LayersThatGuessFurtherAheadAreLeftOut) {
  const GgufBuilder builder = MakeTinyModel({.architecture = "glm4moe", .n_layers = 2});
  const testing::TempFile path(builder.Build());
  const auto file = GgufFile::Open(path.path());
  ASSERT_NE((*file)->FindTensor("blk.2.nextn.eh_proj.weight"), nullptr);
  const auto model = DescribeModel(**file);
  ASSERT_TRUE(model.ok()) << model.status().ToString();
  EXPECT_EQ(model->config.n_layers, 2u);
  EXPECT_EQ(model->config.n_left_out_layers, 1u);
  for (const TensorSpec& spec : model->tensors) EXPECT_LT(spec.layer, 2) << spec.file_tensor;
}

TEST(ExpertConfigTest, LargerGlmsHaveNormsOfHeads) {
  EXPECT_EQ(Described({.architecture = "glm4moe"}).config.qk_norm, QkNorm::kNone);
  const ModelDescription larger = Described({.architecture = "glm4moe", .has_qk_norm = true});
  EXPECT_EQ(larger.config.qk_norm, QkNorm::kHead);
  EXPECT_EQ(Find(larger, WeightRole::kAttnQNorm, 1)->n_cols, 16u);
}

TEST(ExpertConfigTest, ErnieMayChooseWithoutABias) {
  std::string bytes = MakeTinyModel({.architecture = "ernie4_5-moe", .n_layers = 2}).Build();
  // The tensor's bytes pass as rotary frequencies that old converters wrote out.
  const std::string bias = "blk.1.exp_probs_b.bias", unused = "blk.1.attn_rot_embd.bi";
  bytes.replace(bytes.find(bias), bias.size(), unused);
  const testing::TempFile path(bytes);
  const auto model = DescribeModel(**GgufFile::Open(path.path()));
  ASSERT_TRUE(model.ok()) << model.status().ToString();
  EXPECT_FALSE(model->config.experts.has_selection_bias);
}

}  // namespace
}  // namespace forge
