// What is read of models whose layers are delta nets but for some.
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
using testing::GgufBuilder;
using testing::Keys;
using testing::LittleEndian32;
using testing::LittleEndian64;
using testing::MakeTinyModel;
using testing::RecurrentLayers;
using testing::Refused;

// 2 key heads and 4 value heads of 12 elements, 4 taps.
TEST(DeltaNetConfigTest, ThreeLayersOfFourAreADeltaNet) {
  const ModelDescription model = Described({.architecture = "qwen35", .n_layers = 8});
  const ModelConfig& config = model.config;
  EXPECT_EQ(RecurrentLayers(config),
            (std::vector{true, true, true, false, true, true, true, false}));
  EXPECT_EQ(config.n_left_out_layers, 1u);
  EXPECT_TRUE(config.IsHybrid());
  const DeltaNetConfig& net = config.delta_net;
  EXPECT_EQ(net.n_key_heads, 2u);
  EXPECT_EQ(net.n_value_heads, 4u);
  EXPECT_EQ(net.head_dim, 12u);
  EXPECT_EQ(net.n_taps, 4u);
  EXPECT_EQ(net.n_channels(), 96u);
  EXPECT_FALSE(net.spreads_key_heads);
  EXPECT_EQ(Find(model, WeightRole::kMixed, 0)->n_rows, 96u);
  EXPECT_EQ(Find(model, WeightRole::kConv, 0)->n_slices, 96u);
  EXPECT_EQ(Find(model, WeightRole::kAttnOutput, 0)->file_tensor, "blk.0.ssm_out.weight");
  EXPECT_EQ(Find(model, WeightRole::kAttnQ, 0), nullptr);
  EXPECT_EQ(Find(model, WeightRole::kMixed, 3), nullptr);
  EXPECT_EQ(Find(model, WeightRole::kFfnNorm, 0)->file_tensor, "blk.0.post_attention_norm.weight");
  EXPECT_FALSE(Described({.architecture = "qwen3"}).config.IsHybrid());
}

TEST(DeltaNetConfigTest, QueriesOfTheOthersComeWithGates) {
  const ModelDescription model = Described({.architecture = "qwen35"});
  EXPECT_TRUE(model.config.gates_heads);
  EXPECT_EQ(Find(model, WeightRole::kAttnQ, 1)->n_rows, 2u * 64);
  EXPECT_EQ(Find(model, WeightRole::kAttnOutput, 1)->n_cols, 64u);
}

TEST(DeltaNetConfigTest, QwenNextHasTheStrengthsOfAKeyHeadsValuesTogether) {
  const ModelDescription model = Described({.architecture = "qwen3next"});
  EXPECT_TRUE(model.config.delta_net.spreads_key_heads);
  EXPECT_EQ(Find(model, WeightRole::kDeltaStrengths, 0)->n_rows, 8u);
  EXPECT_EQ(Find(model, WeightRole::kDeltaBeta, 0), nullptr);
  EXPECT_EQ(model.config.experts.count, 4u);
  EXPECT_TRUE(model.config.experts.has_shared_gate);
}

constexpr std::string_view kFlags = "qwen35.attention.recurrent_layers";

GgufBuilder WithFlags(std::vector<char> flags) {
  GgufBuilder builder = MakeTinyModel({.architecture = "qwen35"});
  constexpr uint32_t kBool = 7, kArray = 9;
  builder.AddRaw(kFlags, kArray,
                 LittleEndian32(kBool) + LittleEndian64(flags.size()) +
                     std::string(flags.begin(), flags.end()));
  return builder;
}

// Those of the layers that guess count too.
TEST(DeltaNetConfigTest, TheFileMayNameItsRecurrentLayers) {
  EXPECT_EQ(RecurrentLayers(Described(WithFlags({1, 0, 0})).config), (std::vector{true, false}));
}

Case WithUint32(std::string name, std::string_view key, uint32_t value,
                StatusCode code = StatusCode::kInvalidArgument) {
  Keys keys(key, "qwen35");
  keys.builder.AddUint32(keys.Key(key), value);
  return Refused(std::move(name), keys.builder, keys.Key(key), std::to_string(value), code);
}

std::vector<Case> Cases() {
  std::vector<Case> cases = {
      WithUint32("ValueHeadsOfNoKeyHead", "ssm.time_step_rank", 3),
      WithUint32("HeadsTooLong", "ssm.state_size", 129),
      WithUint32("NoTaps", "ssm.conv_kernel", 1),
      WithUint32("TooManyTaps", "ssm.conv_kernel", 9),
      WithUint32("AnotherLength", "ssm.inner_size", 63),
      WithUint32("NoPeriod", "full_attention_interval", 0),
      WithUint32("OtherValues", "attention.value_length", 24, StatusCode::kUnimplemented),
      Refused("FlagsOfTooFewLayers", WithFlags({1, 0}), std::string(kFlags), "array of 2"),
      Refused("NoLayerAttends", WithFlags({1, 1, 1}), std::string(kFlags), "array of 3",
              StatusCode::kUnimplemented)};
  for (const std::string_view key : {"ssm.group_count", "ssm.time_step_rank", "ssm.state_size",
                                     "ssm.conv_kernel", "ssm.inner_size"}) {
    const Keys without(key, "qwen35");
    std::string name(key.substr(key.find('.') + 1));
    std::ranges::replace(name, '_', 'X');
    cases.push_back(Refused("Without_" + name, without.builder, without.Key(key), "absent"));
    cases.push_back(WithUint32("Zero_" + name, key, 0));
  }
  Keys period("full_attention_interval", "qwen35");
  period.builder.AddUint32("qwen35.full_attention_interval", 3);  // of two layers
  cases.push_back(Refused("PeriodBeyondTheLayers", period.builder, "qwen35.block_count", "2",
                          StatusCode::kUnimplemented));
  return cases;
}

class DeltaNetRejectionTest : public ::testing::TestWithParam<Case> {};

TEST_P(DeltaNetRejectionTest, NamesFieldValueAndOffset) { testing::ExpectRefused(GetParam()); }

INSTANTIATE_TEST_SUITE_P(Refuses, DeltaNetRejectionTest, ::testing::ValuesIn(Cases()),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace forge
