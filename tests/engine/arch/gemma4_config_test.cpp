// What is read of Gemma 4, whose layers with a window and without differ.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "engine/arch/architecture.h"
#include "tests/engine/arch/described.h"
#include "tests/engine/arch/rejection_case.h"
#include "tests/support/tiny_model.h"

namespace forge {
namespace {

using testing::Case;
using testing::Described;
using testing::Find;
using testing::Keys;
using testing::Refused;
using testing::TinyModelOptions;

// Heads of 16 with a window and of 32 without; every third layer has none.
TinyModelOptions Small() { return {.architecture = "gemma4", .n_layers = 6}; }
TinyModelOptions Large() {
  TinyModelOptions options = Small();
  options.is_large = true;
  return options;
}

TEST(Gemma4ConfigTest, LayersWithAWindowHaveHeadsOfTheirOwn) {
  const ModelDescription model = Described(Large());
  const ModelConfig& config = model.config;
  EXPECT_EQ(config.windowed, (std::vector{true, true, false, true, true, false}));
  EXPECT_EQ(config.HeadsOf(0).head_dim, 16u);
  EXPECT_EQ(config.HeadsOf(0).n_kv_heads, 2u);
  EXPECT_EQ(config.HeadsOf(2).head_dim, 32u);
  EXPECT_EQ(config.HeadsOf(2).n_kv_heads, 1u);
  EXPECT_EQ(config.RopeOf(0).base, 500.0);
  EXPECT_EQ(config.RotaryDimOf(0), 16u);
  EXPECT_EQ(config.RopeOf(2).base, 10000.0);
  EXPECT_EQ(config.RotaryDimOf(2), 32u);
  EXPECT_EQ(config.attention_scale, 1.0);
  EXPECT_EQ(config.embedding_scale, 8.0);
  EXPECT_EQ(Find(model, WeightRole::kAttnQ, 0)->n_rows, 64u);
  EXPECT_EQ(Find(model, WeightRole::kAttnQ, 2)->n_rows, 128u);
  EXPECT_EQ(Find(model, WeightRole::kAttnK, 0)->n_rows, 32u);
  EXPECT_EQ(Find(model, WeightRole::kAttnK, 2)->n_rows, 32u);
  EXPECT_EQ(Find(model, WeightRole::kAttnQNorm, 2)->n_cols, 32u);
  EXPECT_EQ(Find(model, WeightRole::kAttnOutput, 2)->n_cols, 128u);
  EXPECT_EQ(Find(model, WeightRole::kRopeFactors, -1)->n_cols, 16u);
}

TEST(Gemma4ConfigTest, ValuesAreKeysWhereTheFileHasNone) {
  const ModelDescription large = Described(Large()), small = Described(Small());
  EXPECT_EQ(large.config.ProjectionsOf(0), 3);
  EXPECT_EQ(large.config.ProjectionsOf(2), 2);
  EXPECT_NE(Find(large, WeightRole::kAttnV, 0), nullptr);
  EXPECT_EQ(Find(large, WeightRole::kAttnV, 2), nullptr);
  EXPECT_EQ(small.config.ProjectionsOf(2), 3);
  EXPECT_NE(Find(small, WeightRole::kAttnV, 2), nullptr);
}

TEST(Gemma4ConfigTest, TheLastLayersAttendToKeysOfTheirKind) {
  const ModelDescription model = Described(Small());
  const ModelConfig& config = model.config;
  EXPECT_EQ(config.n_shared_kv_layers, 3u);
  std::vector<uint32_t> sources;
  for (uint32_t layer = 0; layer < 6; ++layer) sources.push_back(config.KvLayerOf(layer));
  EXPECT_EQ(sources, (std::vector<uint32_t>{0, 1, 2, 1, 1, 2}));
  EXPECT_EQ(config.ProjectionsOf(4), 1);
  EXPECT_NE(Find(model, WeightRole::kAttnQNorm, 4), nullptr);
  for (const WeightRole role : {WeightRole::kAttnK, WeightRole::kAttnV, WeightRole::kAttnKNorm})
    EXPECT_EQ(Find(model, role, 4), nullptr);
  // Their nets are twice as long.
  EXPECT_EQ(config.n_ff, 192u);
  EXPECT_EQ(Find(model, WeightRole::kFfnUp, 2)->n_rows, 96u);
  EXPECT_EQ(Find(model, WeightRole::kFfnDown, 3)->n_cols, 192u);
}

TEST(Gemma4ConfigTest, LayersMayHaveInputsAndScales) {
  const ModelDescription model = Described(Small());
  EXPECT_EQ(model.config.n_layer_input, 20u);
  EXPECT_EQ(Find(model, WeightRole::kLayerInputs, -1)->n_cols, 120u);
  EXPECT_EQ(Find(model, WeightRole::kLayerInputProjection, -1)->n_rows, 120u);
  EXPECT_EQ(Find(model, WeightRole::kLayerInputGate, 5)->n_rows, 20u);
  EXPECT_EQ(Find(model, WeightRole::kLayerScale, 5)->n_cols, 1u);
  EXPECT_FALSE(Described(Large()).config.HasLayerInputs());
  EXPECT_EQ(Find(Described(Large()), WeightRole::kLayerInputs, -1), nullptr);
}

TEST(Gemma4ConfigTest, ExpertsAreBesideADenseNet) {
  TinyModelOptions options = Large();
  options.n_experts = 4;
  const ModelDescription model = Described(options);
  EXPECT_TRUE(model.config.experts.has_dense_beside);
  EXPECT_TRUE(model.config.experts.has_fused_gate_up);
  EXPECT_TRUE(model.config.experts.normalizes_weights);
  EXPECT_EQ(model.config.experts.n_ff, 48u);
  EXPECT_NE(Find(model, WeightRole::kFfnGate, 0), nullptr);
  EXPECT_EQ(Find(model, WeightRole::kExpertGate, 0)->file_tensor, "blk.0.ffn_gate_up_exps.weight");
  EXPECT_EQ(Find(model, WeightRole::kExpertUp, 0)->first_row, 48u);
  EXPECT_EQ(Find(model, WeightRole::kRouterNorm, 0)->scale, 0.125);
  EXPECT_EQ(Find(model, WeightRole::kExpertScales, 0)->n_cols, 4u);
  options.has_split_experts = true;
  EXPECT_EQ(Find(Described(options), WeightRole::kExpertUp, 0)->file_tensor,
            "blk.0.ffn_up_exps.weight");
}

// Of two layers, of which the first has a window; heads of 16 and 32 elements.
Case With(std::string name, std::string_view key, uint32_t value,
          StatusCode code = StatusCode::kInvalidArgument) {
  Keys keys(key, "gemma4");
  keys.builder.AddUint32(keys.Key(key), value);
  return Refused(std::move(name), keys.builder, keys.Key(key), std::to_string(value), code);
}

Case WithArray(std::string name, std::string_view key, std::span<const int32_t> values,
               std::string value, StatusCode code = StatusCode::kInvalidArgument) {
  Keys keys(key, "gemma4");
  keys.builder.AddInt32Array(keys.Key(key), values);
  return Refused(std::move(name), keys.builder, keys.Key(key), std::move(value), code);
}

std::vector<Case> Cases() {
  constexpr StatusCode kUnimplemented = StatusCode::kUnimplemented;
  constexpr std::string_view kPattern = "attention.sliding_window_pattern",
                             kKvHeads = "attention.head_count_kv", kLengths = "feed_forward_length";
  const int32_t three[] = {1, 0, 1}, other[] = {1, 2}, zero[] = {2, 0}, thirds[] = {2, 3},
                negative[] = {96, -1}, too_long[] = {96, (1 << 22) + 1};
  std::vector<Case> cases = {
      With("Window0", "attention.sliding_window", 0),
      With("PatternIsAPeriod", kPattern, 2),
      WithArray("PatternOfThreeLayers", kPattern, three, "array of 3"),
      WithArray("PatternOfOtherNumbers", kPattern, other, "array of 2"),
      WithArray("KvHeadsOfThreeLayers", kKvHeads, three, "array of 3"),
      WithArray("KvHeads0", kKvHeads, zero, "0"),
      WithArray("KvHeadsThatDivideNothing", kKvHeads, thirds, "3"),
      WithArray("LengthNegative", kLengths, negative, "array of 2"),
      WithArray("LengthAbsurd", kLengths, too_long, std::to_string((1 << 22) + 1)),
      With("WindowKeyLength0", "attention.key_length_swa", 0),
      With("WindowKeyLengthAbsurd", "attention.key_length_swa", 8193),
      With("WindowValuesOfAnotherLength", "attention.value_length_swa", 24, kUnimplemented),
      With("ValuesOfAnotherLength", "attention.value_length", 24, kUnimplemented),
      With("WindowRotaryWidthOdd", "rope.dimension_count_swa", 7),
      With("WindowRotaryWidthAboveHead", "rope.dimension_count_swa", 18),
      With("AllShareKeys", "attention.shared_kv_layers", 2),
      With("NoSourceOfItsKind", "attention.shared_kv_layers", 1),
      With("LayerInputAbsurd", "embedding_length_per_layer_input", (1u << 14) + 1)};
  for (const std::string_view key :
       {std::string_view("attention.sliding_window"), kPattern, kLengths,
        std::string_view("attention.key_length_swa"),
        std::string_view("attention.value_length_swa"), std::string_view("rope.freq_base_swa")}) {
    const Keys without(key, "gemma4");
    std::string name(key.substr(key.find('.') + 1));
    std::ranges::replace(name, '_', 'X');
    cases.push_back(Refused("Without_" + name, without.builder, without.Key(key), "absent"));
  }
  Keys base("rope.freq_base_swa", "gemma4");
  base.builder.AddFloat32("gemma4.rope.freq_base_swa", 0.0f);
  cases.push_back(Refused("WindowBase0", base.builder, "gemma4.rope.freq_base_swa", "0.0"));
  Keys cap("", "gemma4");
  cap.builder.AddFloat32("gemma4.final_logit_softcapping", -1.0f);
  cases.push_back(Refused("CapNegative", cap.builder, "gemma4.final_logit_softcapping", "-1.0"));
  Keys alike("attention.sliding_window_pattern", "gemma4");
  const int32_t windows[] = {1, 1}, unlike[] = {2, 1};
  alike.builder.AddInt32Array("gemma4.attention.sliding_window_pattern", windows)
      .AddInt32Array("gemma4.attention.head_count_kv", unlike);
  cases.push_back(Refused("KvHeadsOfOneKindDiffer", alike.builder, "gemma4.attention.head_count_kv",
                          "1", kUnimplemented));
  for (const std::string_view key :
       {"attention.shared_kv_layers", "embedding_length_per_layer_input"}) {
    Keys foreign(key, "gemma3");
    foreign.builder.AddUint32(foreign.Key(key), 1);
    cases.push_back(
        Refused("Gemma3Has" + std::string(key.starts_with("att") ? "NoSharedKeys" : "NoInputs"),
                foreign.builder, foreign.Key(key), "1", kUnimplemented));
  }
  return cases;
}

class Gemma4RejectionTest : public ::testing::TestWithParam<Case> {};

TEST_P(Gemma4RejectionTest, NamesFieldValueAndOffset) { testing::ExpectRefused(GetParam()); }

INSTANTIATE_TEST_SUITE_P(Refuses, Gemma4RejectionTest, ::testing::ValuesIn(Cases()),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace forge
