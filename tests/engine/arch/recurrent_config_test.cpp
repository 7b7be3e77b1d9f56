// Families whose layers without KV heads are recurrent, or have one part each.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "engine/arch/architecture.h"
#include "tests/engine/arch/described.h"
#include "tests/engine/arch/rejection_case.h"

namespace forge {
namespace {

using testing::Case;
using testing::Described;
using testing::Find;
using testing::Keys;
using testing::RecurrentLayers;
using testing::Refused;

TEST(RecurrentConfigTest, LayersOfLfm2WithoutKvHeadsAreShortConvolutions) {
  const ModelDescription model = Described({.architecture = "lfm2", .n_layers = 8});
  const ModelConfig& config = model.config;
  EXPECT_EQ(RecurrentLayers(config),
            (std::vector{true, true, true, false, true, true, true, false}));
  EXPECT_EQ(config.short_conv.n_taps, 3u);
  EXPECT_EQ(config.n_kv_heads, 2u);
  EXPECT_EQ(config.recurrent_shape().n_channels, 64u);
  EXPECT_EQ(config.recurrent_shape().n_state_rows, 0u);
  EXPECT_EQ(Find(model, WeightRole::kMixedGate, 0)->first_row, 0u);
  EXPECT_EQ(Find(model, WeightRole::kMixerGate, 0)->first_row, 64u);
  EXPECT_EQ(Find(model, WeightRole::kMixed, 0)->first_row, 128u);
  EXPECT_EQ(Find(model, WeightRole::kAttnQ, 0), nullptr);
  EXPECT_EQ(Find(model, WeightRole::kMixed, 3), nullptr);
  EXPECT_EQ(Find(model, WeightRole::kOutputNorm, -1)->file_tensor, "token_embd_norm.weight");
}

TEST(RecurrentConfigTest, ExpertsOfLfm2AreChosenBySigmoidsAndABias) {
  const ModelConfig config = Described({.architecture = "lfm2moe", .n_layers = 4}).config;
  EXPECT_EQ(config.experts.gating, ExpertGating::kSigmoid);
  EXPECT_TRUE(config.experts.normalizes_weights);
  EXPECT_TRUE(config.experts.has_selection_bias);
  EXPECT_EQ(config.experts.n_dense_layers, 1u);
}

TEST(RecurrentConfigTest, LayersOfGranite4WithoutKvHeadsAreStateSpaces) {
  const ModelDescription model = Described({.architecture = "granitehybrid", .n_layers = 4});
  const StateSpaceConfig& space = model.config.state_space;
  EXPECT_EQ(RecurrentLayers(model.config), (std::vector{true, true, true, false}));
  EXPECT_EQ(space.n_heads, 4u);
  EXPECT_EQ(space.n_groups, 2u);
  EXPECT_EQ(space.head_dim, 32u);
  EXPECT_EQ(space.state_dim, 12u);
  EXPECT_EQ(space.n_channels(), 128u + 2 * 2 * 12);
  EXPECT_EQ(model.config.RotaryDimOf(3), 0u) << "rope.scaling.finetuned is false";
  EXPECT_EQ(Find(model, WeightRole::kMixed, 0)->first_row, 128u);
  EXPECT_EQ(Find(model, WeightRole::kMixerAlpha, 0)->first_row, 128u + 176);
  EXPECT_EQ(Find(model, WeightRole::kMixerNorm, 0)->n_slices, 2u);
  EXPECT_EQ(model.config.experts.count, 0u);
  EXPECT_EQ(Described({.architecture = "granitehybrid", .n_experts = 4}).config.experts.n_shared_ff,
            48u);
}

TEST(RecurrentConfigTest, LayersOfNemotronHAreOnePartEach) {
  const ModelDescription model = Described({.architecture = "nemotron_h", .n_layers = 6});
  const ModelConfig& config = model.config;
  const LayerParts space = {Mixer::kRecurrent, false}, net = {Mixer::kNone, true},
                   attention = {Mixer::kAttention, false};
  EXPECT_EQ(config.parts, (std::vector{space, net, attention, space, net, attention}));
  EXPECT_EQ(config.n_ff_of_layers, (std::vector<uint32_t>{0, 96, 0, 0, 96, 0}));
  EXPECT_EQ(config.n_ff, 96u);
  EXPECT_EQ(config.n_kv_heads, 2u);
  EXPECT_EQ(config.RotaryDimOf(2), 0u);
  EXPECT_EQ(config.state_space.n_groups, 2u);
  const std::pair<int, WeightRole> norms[] = {
      {0, WeightRole::kAttnNorm}, {1, WeightRole::kFfnNorm}, {2, WeightRole::kAttnNorm}};
  for (const auto& [layer, role] : norms) {
    ASSERT_NE(Find(model, role, layer), nullptr) << layer;
    EXPECT_EQ(Find(model, role, layer)->file_tensor,
              "blk." + std::to_string(layer) + ".attn_norm.weight");
  }
  EXPECT_EQ(Find(model, WeightRole::kFfnNorm, 0), nullptr);
  EXPECT_EQ(Find(model, WeightRole::kFfnUp, 0), nullptr);
  EXPECT_EQ(Find(model, WeightRole::kAttnNorm, 1), nullptr);
  EXPECT_EQ(Find(model, WeightRole::kAttnQ, 1), nullptr);
  EXPECT_EQ(Find(model, WeightRole::kFfnGate, 1), nullptr);
  EXPECT_EQ(Find(model, WeightRole::kMixed, 2), nullptr);
}

TEST(RecurrentConfigTest, ExpertsOfNemotronHHaveNoGate) {
  const ModelDescription model = Described({.architecture = "nemotron_h_moe", .n_layers = 3});
  const ExpertConfig& experts = model.config.experts;
  EXPECT_EQ(experts.gating, ExpertGating::kSigmoid) << "which files do not say";
  EXPECT_TRUE(experts.normalizes_weights) << "which they say";
  EXPECT_TRUE(experts.has_selection_bias);
  EXPECT_FALSE(experts.has_shared_gate);
  EXPECT_EQ(experts.n_shared_ff, 48u);
  EXPECT_EQ(Find(model, WeightRole::kExpertUp, 1)->n_slices, 4u);
  EXPECT_EQ(Find(model, WeightRole::kExpertGate, 1), nullptr);
  EXPECT_EQ(Find(model, WeightRole::kSharedGate, 1), nullptr);
  EXPECT_EQ(Find(model, WeightRole::kRouter, 0), nullptr);
}

Case WithUint32(std::string name, const std::string& family, std::string_view key, uint32_t value,
                StatusCode code = StatusCode::kInvalidArgument) {
  Keys keys(key, family);
  keys.builder.AddUint32(keys.Key(key), value);
  return Refused(std::move(name), keys.builder, keys.Key(key), std::to_string(value), code);
}

Case WithKvHeads(std::string name, const std::vector<int32_t>& n_kv_heads,
                 StatusCode code = StatusCode::kInvalidArgument) {
  constexpr std::string_view kKey = "attention.head_count_kv";
  Keys keys(kKey, "lfm2");
  keys.builder.AddInt32Array(keys.Key(kKey), n_kv_heads);
  return Refused(std::move(name), keys.builder, keys.Key(kKey),
                 "array of " + std::to_string(n_kv_heads.size()), code);
}

// Of two layers, of which the first attends and the second is a net where the test does not say.
Case WithParts(std::string name, std::string_view key, const std::vector<int32_t>& of_layers,
               const std::string& value, StatusCode code = StatusCode::kUnimplemented) {
  Keys keys(key, "nemotron_h");
  keys.builder.AddInt32Array(keys.Key(key), of_layers);
  return Refused("SinglePart_" + std::move(name), keys.builder, keys.Key(key), value, code);
}

std::vector<Case> SinglePartCases() {
  constexpr std::string_view kNets = "feed_forward_length", kKv = "attention.head_count_kv";
  const std::string family = "nemotron_h";
  Keys rotated("rope.scaling.finetuned", family);
  rotated.builder.AddBool(rotated.Key("rope.scaling.finetuned"), true);
  Keys one_length(kNets, family);
  one_length.builder.AddUint32(one_length.Key(kNets), 96);
  const Keys no_length(kNets, family);
  Keys two_epsilons("", family);
  two_epsilons.builder.AddFloat32(two_epsilons.Key("attention.layer_norm_rms_epsilon"), 0.5f);
  return {
      WithParts("NoNet", kNets, {0, 0}, "array of 2"),
      WithParts("NetOfALayerThatAttends", kNets, {64, 96}, "64"),
      WithParts("NetsOfTooFewLayers", kNets, {96}, "array of 1", StatusCode::kInvalidArgument),
      WithParts("NetsOfNegativeLength", kNets, {0, -96}, "array of 2",
                StatusCode::kInvalidArgument),
      WithParts("NetTooLong", kNets, {0, (1 << 22) + 1}, "4194305", StatusCode::kInvalidArgument),
      WithParts("NoLayerAttends", kKv, {0, 0}, "array of 2"),
      WithParts("KvHeadsThatDoNotDivide", kKv, {3, 0}, "array of 2", StatusCode::kInvalidArgument),
      Refused("SinglePart_NetsOfAllLayers", one_length.builder, one_length.Key(kNets), "96",
              StatusCode::kUnimplemented),
      Refused("SinglePart_TwoEpsilons", two_epsilons.builder,
              two_epsilons.Key("attention.layer_norm_rms_epsilon"), "0.5",
              StatusCode::kUnimplemented),
      Refused("SinglePart_NetsAbsent", no_length.builder, no_length.Key(kNets), "absent"),
      Refused("SinglePart_Rotation", rotated.builder, rotated.Key("rope.scaling.finetuned"), "true",
              StatusCode::kUnimplemented),
      WithUint32("SinglePart_AWindow", family, "attention.sliding_window", 16,
                 StatusCode::kUnimplemented),
      WithUint32("SinglePart_LayersThatGuess", "nemotron_h_moe", "nextn_predict_layers", 1,
                 StatusCode::kUnimplemented),
      WithUint32("SinglePart_LatentExperts", "nemotron_h_moe", "moe_latent_size", 1024,
                 StatusCode::kUnimplemented),
  };
}

std::vector<Case> Cases() {
  constexpr StatusCode kUnsupported = StatusCode::kUnimplemented;
  const std::string space = "granitehybrid";
  std::vector<Case> cases = {
      WithKvHeads("KvHeadsOfTooFewLayers", {2}),
      WithKvHeads("NegativeKvHeads", {0, -2}),
      WithKvHeads("KvHeadsThatDoNotDivide", {0, 3}),
      WithKvHeads("NoLayerAttends", {0, 0}, kUnsupported),
      WithKvHeads("KvHeadsDiffer", {1, 2}, kUnsupported),
      WithKvHeads("MoreKvHeadsThanHeads", {0, 8}, kUnsupported),
      WithUint32("OneNumberOfKvHeads", "lfm2", "attention.head_count_kv", 2),
      WithUint32("OneTap", "lfm2", "shortconv.l_cache", 1),
      WithUint32("TooManyTaps", "lfm2", "shortconv.l_cache", 9),
      WithUint32("AWindow", "lfm2", "attention.sliding_window", 16, kUnsupported),
      WithUint32("GroupsThatDoNotDivide", space, "ssm.group_count", 3),
      WithUint32("StateTooLong", space, "ssm.state_size", 257),
      WithUint32("HeadsOfUnequalLength", space, "ssm.inner_size", 66, kUnsupported),
      WithUint32("HeadsTooLong", space, "ssm.inner_size", 516, kUnsupported),
      WithUint32("NoTap", space, "ssm.conv_kernel", 1)};
  const std::pair<std::string, std::string_view> required[] = {
      {"lfm2", "attention.head_count_kv"},
      {"lfm2", "shortconv.l_cache"},
      {space, "ssm.time_step_rank"},
      {space, "ssm.state_size"},
      {space, "ssm.inner_size"},
      {space, "ssm.conv_kernel"},
      {"nemotron_h", "ssm.state_size"},
      {"nemotron_h", "attention.head_count_kv"},
      {"nemotron_h", "attention.layer_norm_epsilon"}};
  for (const auto& [family, key] : required) {
    const Keys without(key, family);
    std::string name(key.substr(key.find('.') + 1));
    std::ranges::replace(name, '_', 'X');
    cases.push_back(
        Refused("Without_" + family + "_" + name, without.builder, without.Key(key), "absent"));
  }
  return cases;
}

class RecurrentRejectionTest : public ::testing::TestWithParam<Case> {};

TEST_P(RecurrentRejectionTest, NamesFieldValueAndOffset) { testing::ExpectRefused(GetParam()); }

INSTANTIATE_TEST_SUITE_P(Refuses, RecurrentRejectionTest, ::testing::ValuesIn(Cases()),
                         [](const auto& test) { return test.param.name; });
INSTANTIATE_TEST_SUITE_P(RefusesParts, RecurrentRejectionTest,
                         ::testing::ValuesIn(SinglePartCases()),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace forge
