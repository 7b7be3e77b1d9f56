// Families whose layers without KV heads are recurrent.
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
using testing::Refused;

TEST(RecurrentConfigTest, LayersOfLfm2WithoutKvHeadsAreShortConvolutions) {
  const ModelDescription model = Described({.architecture = "lfm2", .n_layers = 8});
  const ModelConfig& config = model.config;
  EXPECT_EQ(config.recurrent, (std::vector{true, true, true, false, true, true, true, false}));
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
  EXPECT_EQ(model.config.recurrent, (std::vector{true, true, true, false}));
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
      {"lfm2", "attention.head_count_kv"}, {"lfm2", "shortconv.l_cache"},
      {space, "ssm.time_step_rank"},       {space, "ssm.state_size"},
      {space, "ssm.inner_size"},           {space, "ssm.conv_kernel"}};
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

}  // namespace
}  // namespace forge
