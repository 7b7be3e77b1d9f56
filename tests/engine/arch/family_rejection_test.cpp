// What single families refuse beyond what all do: one row for each case of docs/gguf.md, under its
// id.

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "tests/engine/arch/rejection_case.h"

namespace forge {
namespace {

using testing::Case;
using testing::Keys;
using testing::Refused;

constexpr StatusCode kUnimplemented = StatusCode::kUnimplemented;

Case WithUint32(std::string name, const std::string& family, std::string_view key, uint32_t value,
                StatusCode code = StatusCode::kInvalidArgument) {
  Keys keys(key, family);
  keys.builder.AddUint32(keys.Key(key), value);
  return Refused(std::move(name), keys.builder, keys.Key(key), std::to_string(value), code);
}

Case WithFloat(std::string name, const std::string& family, std::string_view key, float value,
               std::string shown, StatusCode code = StatusCode::kInvalidArgument) {
  Keys keys(key, family);
  keys.builder.AddFloat32(keys.Key(key), value);
  return Refused(std::move(name), keys.builder, keys.Key(key), std::move(shown), code);
}

std::string TestName(std::string family) {
  std::ranges::replace(family, '-', '_');
  return family;
}

Case Without(std::string name, const std::string& family, std::string_view key) {
  Keys keys(key, family);
  return Refused(std::move(name), keys.builder, keys.Key(key), "absent");
}

std::vector<Case> ExpertCases() {
  std::vector<Case> cases;
  for (const std::string family :
       {"mixtral", "qwen2moe", "qwen3moe", "qwen3vlmoe", "granitemoe", "gpt-oss", "olmoe",
        "ernie4_5-moe", "glm4moe", "dots1", "minimax-m2", "bailingmoe", "bailingmoe2", "deepseek2",
        "hunyuan-moe", "lfm2moe", "nemotron_h_moe", "qwen35moe", "qwen3next"}) {
    const std::string id = "E_" + TestName(family) + "_";
    if (family != "deepseek2") {  // of which there are models without experts
      cases.push_back(Without(id + "CountAbsent", family, "expert_count"));
      cases.push_back(WithUint32(id + "Count0", family, "expert_count", 0));
    }
    cases.push_back(WithUint32(id + "CountAbsurd", family, "expert_count", 1025));
    cases.push_back(Without(id + "UsedAbsent", family, "expert_used_count"));
    cases.push_back(WithUint32(id + "Used0", family, "expert_used_count", 0));
    cases.push_back(WithUint32(id + "UsedAboveCount", family, "expert_used_count", 5));
    cases.push_back(WithUint32(id + "Length0", family, "expert_feed_forward_length", 0));
    cases.push_back(
        WithUint32(id + "OtherRouter", family, "expert_gating_func", 4, kUnimplemented));
    cases.push_back(WithFloat(id + "ScaleNegative", family, "expert_weights_scale", -1, "-1.0"));
    if (family != "bailingmoe2" && family != "deepseek2" && family != "nemotron_h_moe")
      cases.push_back(WithUint32(id + "Groups", family, "expert_group_count", 8, kUnimplemented));
    // Of two layers, one may be dense in some families and none in the others.
    const bool may_begin_dense = family == "ernie4_5-moe" || family == "glm4moe" ||
                                 family == "dots1" || family == "bailingmoe2" ||
                                 family == "deepseek2" || family == "lfm2moe";
    cases.push_back(WithUint32(id + "DenseLayersFirst", family, "leading_dense_block_count",
                               may_begin_dense ? 2 : 1,
                               may_begin_dense ? StatusCode::kInvalidArgument : kUnimplemented));
  }
  Keys no_length("feed_forward_length", "llama");
  no_length.builder.AddUint32("llama.expert_count", 4).AddUint32("llama.expert_used_count", 2);
  cases.push_back(
      Refused("E_NoLengthAtAll", no_length.builder, "llama.expert_feed_forward_length", "absent"));
  cases.push_back(
      WithUint32("E_SharedLength0", "qwen2moe", "expert_shared_feed_forward_length", 0));
  cases.push_back(WithUint32("E_SharedLengthAbsurd", "qwen2moe",
                             "expert_shared_feed_forward_length", (1u << 22) + 1));
  cases.push_back(
      WithUint32("E_ExpertsWhereTheFamilyHasNone", "qwen2", "expert_count", 4, kUnimplemented));
  return cases;
}

std::vector<Case> DenseAndSharedCases() {
  Keys no_dense_length("feed_forward_length", "glm4moe");
  no_dense_length.builder.AddUint32("glm4moe.leading_dense_block_count", 1);
  const Keys no_shared_length("feed_forward_length", "hunyuan-moe");
  return {
      Refused("E_hunyuan_moe_SharedLengthAbsent", no_shared_length.builder,
              "hunyuan-moe.expert_shared_feed_forward_length", "absent"),
      WithUint32("E_hunyuan_moe_SharedLengthAbsurd", "hunyuan-moe",
                 "expert_shared_feed_forward_length", (1u << 22) + 1),
      Refused("E_glm4moe_DenseLengthAbsent", no_dense_length.builder, "glm4moe.feed_forward_length",
              "absent"),
      WithUint32("E_glm4moe_SharedCountAbsurd", "glm4moe", "expert_shared_count", 131073),
      WithUint32("E_glm4moe_NoLayerIsLeft", "glm4moe", "nextn_predict_layers", 2),
      WithUint32("E_ernie4_5_moe_SigmoidRouter", "ernie4_5-moe", "expert_gating_func", 2,
                 kUnimplemented),
      WithUint32("E_bailingmoe_SigmoidRouter", "bailingmoe", "expert_gating_func", 2,
                 kUnimplemented),
      WithUint32("E_dots1_LayersThatGuess", "dots1", "nextn_predict_layers", 1, kUnimplemented),
      WithUint32("E_bailingmoe_SharedCountAbsurd", "bailingmoe", "expert_shared_count", 131073),
      WithUint32("E_ernie4_5_moe_SharedLengthAbsurd", "ernie4_5-moe",
                 "expert_shared_feed_forward_length", (1u << 22) + 1),
      WithUint32("E_ernie4_5_moe_ExpertsInEachOtherLayer", "ernie4_5-moe",
                 "interleave_moe_layer_step", 2, kUnimplemented),
      WithUint32("E_ernie4_5_moe_LayersThatGuess", "ernie4_5-moe", "nextn_predict_layers", 1,
                 kUnimplemented),
      WithUint32("E_glm4_LayersThatGuess", "glm4", "nextn_predict_layers", 1, kUnimplemented),
  };
}

// Of four experts, of which a token uses two.
std::vector<Case> GroupCases() {
  const auto with_groups = [](std::string name, uint32_t count, uint32_t used,
                              const std::string& refused, const std::string& value) {
    Keys keys("", "bailingmoe2");
    keys.builder.AddUint32(keys.Key("expert_group_count"), count);
    if (used != 0) keys.builder.AddUint32(keys.Key("expert_group_used_count"), used);
    return Refused("E_bailingmoe2_" + std::move(name), keys.builder, keys.Key(refused), value);
  };
  std::vector<Case> cases = {
      with_groups("GroupsOfUnequalSize", 3, 1, "expert_group_count", "3"),
      with_groups("GroupsOfOne", 4, 4, "expert_group_count", "4"),
      with_groups("GroupsAbsurd", 33, 1, "expert_group_count", "33"),
      with_groups("GroupsUsedAbsent", 2, 0, "expert_group_used_count", "absent"),
      with_groups("GroupsUsedAboveCount", 2, 3, "expert_group_used_count", "3"),
      WithUint32("E_bailingmoe2_NoLayerIsLeft", "bailingmoe2", "nextn_predict_layers", 2),
      WithUint32("E_bailingmoe2_SharedCountAbsurd", "bailingmoe2", "expert_shared_count", 131073)};
  Keys few("expert_used_count", "bailingmoe2");
  few.builder.AddUint32("bailingmoe2.expert_used_count", 3)
      .AddUint32("bailingmoe2.expert_group_count", 2)
      .AddUint32("bailingmoe2.expert_group_used_count", 1);
  cases.push_back(Refused("E_bailingmoe2_GroupsOfFewerThanUsed", few.builder,
                          "bailingmoe2.expert_group_used_count", "1"));
  return cases;
}

// A latent of 32 elements; heads of 24, of which 8 are turned, and values of 16.
std::vector<Case> LatentCases() {
  const auto with = [](const char* name, std::string_view key, uint32_t value) {
    return WithUint32(std::string("L_") + name, "deepseek2", key, value);
  };
  Keys old("attention.key_length_mla", "deepseek2"),
      no_value("attention.value_length_mla", "deepseek2");
  Keys scaled("", "deepseek2");
  scaled.builder.AddString("deepseek2.rope.scaling.type", "yarn")
      .AddFloat32("deepseek2.rope.scaling.factor", 4.0f)
      .AddFloat32("deepseek2.rope.scaling.attn_factor", 1.5f);
  Keys no_period("", "deepseek2");
  no_period.builder.AddFloat32("deepseek2.attention.temperature_scale", 0.1f);
  Keys dense("expert_count", "deepseek2");
  dense.builder.AddUint32("deepseek2.leading_dense_block_count", 1);
  return {
      Without("L_RankAbsent", "deepseek2", "attention.kv_lora_rank"),
      with("Rank0", "attention.kv_lora_rank", 0),
      with("RankBeyondWhatAGpuHolds", "attention.kv_lora_rank", 1025),
      with("QueryRankAbsurd", "attention.q_lora_rank", (1u << 18) + 1),
      Without("L_TurnedAbsent", "deepseek2", "rope.dimension_count"),
      with("TurnedOdd", "rope.dimension_count", 7),
      with("TurnedIsAllOfAHead", "attention.key_length_mla", 8),
      with("KeyLengthAbsurd", "attention.key_length_mla", 4097),
      with("ValueLength0", "attention.value_length_mla", 0),
      Refused("L_KeyLengthAbsent", old.builder, "deepseek2.attention.key_length_mla", "absent"),
      Refused("L_ValueLengthAbsent", no_value.builder, "deepseek2.attention.value_length_mla",
              "absent"),
      with("MoreHeadsThanThereIsRoomToPlace", "attention.head_count", 1025),
      with("KvHeadsOfANewerFile", "attention.head_count_kv", 4),
      with("KeyOfTheCache", "attention.key_length", 24),
      with("ValueOfTheCache", "attention.value_length", 16),
      WithFloat("L_LogMultiplierNegative", "deepseek2", "rope.scaling.yarn_log_multiplier", -1,
                "-1.0"),
      Refused("L_AttentionFactor", scaled.builder, "deepseek2.rope.scaling.attn_factor", "1.5",
              kUnimplemented),
      Refused("L_GrowthWithoutAPeriod", no_period.builder, "deepseek2.attention.temperature_length",
              "absent"),
      Refused("L_LayersThatAreNotDense", dense.builder, "deepseek2.leading_dense_block_count", "1"),
      WithUint32("L_LayersThatGuess", "deepseek2", "nextn_predict_layers", 1, kUnimplemented),
      WithUint32("L_llama_HasNone", "llama", "attention.kv_lora_rank", 512, kUnimplemented),
  };
}

std::vector<Case> WindowCases() {
  std::vector<Case> cases;
  for (const std::string family : {"gemma2", "gemma3", "gpt-oss", "cohere2"}) {
    const std::string id = "W_" + (family == "gpt-oss" ? "gpt_oss" : family) + "_";
    cases.push_back(WithUint32(id + "Window0", family, "attention.sliding_window", 0));
    cases.push_back(WithUint32(id + "WindowAbsurd", family, "attention.sliding_window", 1u << 31));
    cases.push_back(WithUint32(id + "Period0", family, "attention.sliding_window_pattern", 0));
    const uint32_t three[] = {1, 0, 1}, other[] = {1, 2};
    for (const auto& [name, flags] :
         {std::pair(id + "FlagsOfThreeLayers", std::span<const uint32_t>(three)),
          std::pair(id + "FlagsThatAreNone", std::span<const uint32_t>(other))}) {
      Keys keys("", family);
      keys.builder.AddUint32Array(keys.Key("attention.sliding_window_pattern"), flags);
      cases.push_back(Refused(name, keys.builder, keys.Key("attention.sliding_window_pattern"),
                              "array of " + std::to_string(flags.size())));
    }
  }
  cases.push_back(Without("W_gemma3_WindowAbsent", "gemma3", "attention.sliding_window"));
  cases.push_back(Without("W_cohere2_WindowAbsent", "cohere2", "attention.sliding_window"));
  cases.push_back(WithFloat("W_cohere2_BaseOfItsOwn", "cohere2", "rope.freq_base_swa", 50000,
                            "50000.0", kUnimplemented));
  cases.push_back(Without("W_gpt_oss_WindowAbsent", "gpt-oss", "attention.sliding_window"));
  cases.push_back(WithFloat("W_gpt_oss_BaseOfItsOwn", "gpt-oss", "rope.freq_base_swa", 50000,
                            "50000.0", kUnimplemented));
  for (const std::string family : {"exaone4", "olmo2"}) {
    const std::string id = "W_" + family;
    cases.push_back(WithUint32(id + "_WindowAbsurd", family, "attention.sliding_window", 1u << 31));
    Keys keys("", family);
    keys.builder.AddUint32(keys.Key("attention.sliding_window"), 16)
        .AddUint32(keys.Key("attention.sliding_window_pattern"), 0);
    cases.push_back(
        Refused(id + "_Period0", keys.builder, keys.Key("attention.sliding_window_pattern"), "0"));
  }
  cases.push_back(WithFloat("W_olmo2_BaseWithoutAWindow", "olmo2", "rope.freq_base_swa", 50000,
                            "50000.0", kUnimplemented));
  for (const std::string family :
       {"qwen2",      "qwen2vl",     "qwen3",        "qwen3vl",       "gemma",       "glm4",
        "chatglm",    "granite",     "smollm3",      "seed_oss",      "ernie4_5",    "mistral3",
        "exaone",     "olmoe",       "ernie4_5-moe", "glm4moe",       "dots1",       "minimax-m2",
        "bailingmoe", "bailingmoe2", "arcee",        "hunyuan-dense", "hunyuan-moe", "internlm2",
        "command-r",  "falcon",      "gptneox",      "nemotron",      "phi2",        "stablelm",
        "deepseek2"})
    cases.push_back(WithUint32("W_" + TestName(family) + "_HasNone", family,
                               "attention.sliding_window", 256, kUnimplemented));
  return cases;
}

std::vector<Case> ScaleCases() {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  Keys other_scaling("", "phi3");
  other_scaling.builder.AddString("phi3.rope.scaling.type", "dynamic");
  Keys long_rope("", "qwen2");
  long_rope.builder.AddString("qwen2.rope.scaling.type", "longrope");
  return {
      WithFloat("S_gemma2_AttentionCap0", "gemma2", "attn_logit_softcapping", 0, "0.0"),
      WithFloat("S_gemma2_FinalCapNan", "gemma2", "final_logit_softcapping", nan, "nan"),
      WithFloat("S_gemma3_FinalCapNegative", "gemma3", "final_logit_softcapping", -30, "-30.0"),
      WithFloat("S_gemma3_AttentionCap", "gemma3", "attn_logit_softcapping", 50, "50.0",
                kUnimplemented),
      WithFloat("S_gemma_AttentionCap", "gemma", "attn_logit_softcapping", 50, "50.0",
                kUnimplemented),
      WithFloat("S_gemma3_LocalBase0", "gemma3", "rope.freq_base_swa", 0, "0.0"),
      WithFloat("S_phi3_AttentionFactor0", "phi3", "rope.scaling.attn_factor", 0, "0.0"),
      WithUint32("S_phi3_OriginalContext0", "phi3", "rope.scaling.original_context_length", 0),
      Refused("S_qwen2_LongRope", long_rope.builder, "qwen2.rope.scaling.type", "longrope",
              kUnimplemented),
      Refused("S_phi3_OtherScaling", other_scaling.builder, "phi3.rope.scaling.type", "dynamic",
              kUnimplemented),
      WithFloat("S_mistral3_LogMultiplierNegative", "mistral3", "rope.scaling.yarn_log_multiplier",
                -1, "-1.0"),
      WithFloat("S_mistral3_TemperatureNan", "mistral3", "attention.temperature_scale", nan, "nan"),
      WithUint32("S_mistral3_OriginalContext0", "mistral3", "rope.scaling.original_context_length",
                 0),
      WithFloat("S_llama_Temperature", "llama", "attention.temperature_scale", 0.1f, "0.1",
                kUnimplemented),
      WithFloat("S_llama_LogMultiplier", "llama", "rope.scaling.yarn_log_multiplier", 1, "1.0",
                kUnimplemented),
      WithUint32("S_glm4_KvHeads0", "glm4", "attention.head_count_kv", 0),
      WithUint32("S_chatglm_RotaryWidthOdd", "chatglm", "rope.dimension_count", 7),
      WithUint32("S_qwen3_KeyLength0", "qwen3", "attention.key_length", 0),
  };
}

std::vector<Case> GraniteCases() {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  std::vector<Case> cases;
  for (const std::string family : {"granite", "granitemoe"}) {
    const std::string id = "S_" + family + "_";
    cases.push_back(Without(id + "LogitScaleAbsent", family, "logit_scale"));
    cases.push_back(WithFloat(id + "LogitScale0", family, "logit_scale", 0, "0.0"));
    cases.push_back(WithFloat(id + "LogitScaleHuge", family, "logit_scale", 1e5f, "100000.0"));
    cases.push_back(WithFloat(id + "ResidualScaleNegative", family, "residual_scale", -1, "-1.0"));
    cases.push_back(
        WithFloat(id + "ResidualScaleTiny", family, "residual_scale", 5e-5f, "0.000050"));
    cases.push_back(WithFloat(id + "EmbeddingScaleNan", family, "embedding_scale", nan, "nan"));
    cases.push_back(
        WithFloat(id + "AttentionScaleHuge", family, "attention.scale", 1e5f, "100000.0"));
    cases.push_back(WithUint32(id + "RotationIsNoFlag", family, "rope.scaling.finetuned", 1));
  }
  for (const char* scale : {"embedding_scale", "residual_scale", "logit_scale", "attention.scale"})
    cases.push_back(
        WithFloat(std::string("S_llama_") + (scale[0] == 'a' ? "AttentionScale" : scale), "llama",
                  scale, 0.5f, "0.5", kUnimplemented));
  cases.push_back(WithUint32("E_granitemoe_SharedLengthAbsurd", "granitemoe",
                             "expert_shared_feed_forward_length", (1u << 22) + 1));
  return cases;
}

std::vector<Case> LayerNormCases() {
  std::vector<Case> cases;
  constexpr std::string_view kEpsilon = "attention.layer_norm_epsilon";
  for (const std::string family : {"cohere2", "command-r", "falcon", "gptneox", "nemotron", "phi2",
                                   "stablelm", "starcoder2"}) {
    const std::string id = "P4_" + TestName(family) + "_";
    cases.push_back(Without(id + "EpsilonAbsent", family, kEpsilon));
    cases.push_back(WithFloat(id + "Epsilon0", family, kEpsilon, 0, "0.0"));
  }
  for (const std::string family : {"cohere2", "command-r"}) {
    const std::string id = "S_" + TestName(family) + "_";
    cases.push_back(Without(id + "LogitScaleAbsent", family, "logit_scale"));
    cases.push_back(WithFloat(id + "LogitScale0", family, "logit_scale", 0, "0.0"));
    cases.push_back(WithFloat(id + "LogitScaleHuge", family, "logit_scale", 1e5f, "100000.0"));
  }
  cases.push_back(WithUint32("S_stablelm_OrderIsNoFlag", "stablelm", "use_parallel_residual", 1));
  cases.push_back(Without("S_gptneox_OrderAbsent", "gptneox", "use_parallel_residual"));
  cases.push_back(WithUint32("S_gptneox_OrderIsNoFlag", "gptneox", "use_parallel_residual", 1));
  Keys order("", "nemotron");
  order.builder.AddBool("nemotron.use_parallel_residual", true);
  cases.push_back(Refused("S_nemotron_Order", order.builder, "nemotron.use_parallel_residual",
                          "true", kUnimplemented));
  return cases;
}

Case WithSections(std::string name, const std::string& family, std::span<const int32_t> sections,
                  StatusCode code) {
  Keys keys("rope.dimension_sections", family);
  keys.builder.AddInt32Array(keys.Key("rope.dimension_sections"), sections);
  return Refused(std::move(name), keys.builder, keys.Key("rope.dimension_sections"),
                 "array of " + std::to_string(sections.size()), code);
}

std::vector<Case> SectionCases() {
  const int32_t two[] = {4, 4}, extra[] = {3, 3, 1, 1}, negative[] = {3, 3, 2, -1};
  std::vector<Case> cases;
  for (const std::string family : {"qwen2vl", "qwen3vl", "qwen3vlmoe"}) {
    const std::string id = "M_" + family + "_";
    cases.push_back(Without(id + "Absent", family, "rope.dimension_sections"));
    cases.push_back(WithUint32(id + "Number", family, "rope.dimension_sections", 4));
    cases.push_back(WithSections(id + "TwoSections", family, two, kUnimplemented));
    cases.push_back(WithSections(id + "FourthSection", family, extra, kUnimplemented));
    cases.push_back(WithSections(id + "Negative", family, negative, StatusCode::kInvalidArgument));
  }
  cases.push_back(WithSections("M_qwen35_FourthSection", "qwen35", extra, kUnimplemented));
  cases.push_back(WithSections("M_glm4moe_FourthSection", "glm4moe", extra, kUnimplemented));
  return cases;
}

std::vector<Case> AllCases() {
  std::vector<Case> all;
  for (const auto& part :
       {ExpertCases(), DenseAndSharedCases(), GroupCases(), LatentCases(), WindowCases(),
        ScaleCases(), GraniteCases(), SectionCases(), LayerNormCases()})
    all.insert(all.end(), part.begin(), part.end());
  return all;
}

class FamilyRejectionTest : public ::testing::TestWithParam<Case> {};

TEST_P(FamilyRejectionTest, NamesFieldValueAndOffset) { testing::ExpectRefused(GetParam()); }

INSTANTIATE_TEST_SUITE_P(Refuses, FamilyRejectionTest, ::testing::ValuesIn(AllCases()),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace forge
