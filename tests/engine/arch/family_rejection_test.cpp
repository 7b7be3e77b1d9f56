// What single families refuse beyond what all do: one row for each case of docs/gguf.md, under its
// id.

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "tests/engine/arch/rejection_case.h"
#include "tests/support/temporary_files.h"
#include "tests/support/tiny_model.h"

namespace forge {
namespace {

using testing::Case;
using testing::GgufBuilder;
using testing::Keys;
using testing::MakeTinyModel;
using testing::Refused;
using testing::TinyModelOptions;

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
        "hunyuan-moe"}) {
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
    if (family != "bailingmoe2" && family != "deepseek2")
      cases.push_back(WithUint32(id + "Groups", family, "expert_group_count", 8, kUnimplemented));
    // Of two layers, one may be dense in some families and none in the others.
    const bool may_begin_dense = family == "ernie4_5-moe" || family == "glm4moe" ||
                                 family == "dots1" || family == "bailingmoe2" ||
                                 family == "deepseek2";
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
  cases.push_back(WithSections("M_glm4moe_FourthSection", "glm4moe", extra, kUnimplemented));
  return cases;
}

// A tiny model of the family with one more tensor.
Case WithTensor(std::string name, const TinyModelOptions& options, const std::string& tensor,
                std::vector<uint64_t> shape) {
  uint64_t n = 1;
  for (const uint64_t extent : shape) n *= extent;
  GgufBuilder builder = MakeTinyModel(options);
  builder.AddF32Tensor(tensor, shape, std::vector<float>(n));
  return Refused(std::move(name), builder, tensor, "F32", kUnimplemented);
}

// A tiny model one of whose tensors has another name of the same length, and so is missing.
Case WithoutTensor(std::string name, const TinyModelOptions& options, const std::string& tensor) {
  std::string bytes = MakeTinyModel(options).Build();
  bytes.replace(bytes.find(tensor), tensor.size(), std::string(tensor.size(), 'x'));
  return {std::move(name), bytes, StatusCode::kInvalidArgument, tensor, "absent"};
}

// The model's keys under another family's name: its tensors are not that family's.
Case Renamed(std::string name, const TinyModelOptions& options, const std::string& family,
             const std::string& field, const std::string& value) {
  std::string bytes = MakeTinyModel(options).Build();
  FORGE_CHECK(options.architecture.size() == family.size(), "names of one length");
  for (size_t at = 0; (at = bytes.find(options.architecture, at)) != std::string::npos;)
    bytes.replace(at, family.size(), family);
  return {std::move(name), bytes, value == "absent" ? StatusCode::kInvalidArgument : kUnimplemented,
          field, value};
}

std::vector<Case> TensorCases() {
  const std::string block = "blk.0.";
  return {
      WithTensor("T_qwen3_BiasOfTheRouter", {.architecture = "qwen3moe"},
                 block + "ffn_gate_inp.bias", {4}),
      WithTensor("T_llama_SharedExpert", {.n_experts = 4}, block + "ffn_up_shexp.weight", {64, 96}),
      WithTensor("T_llama_MergedBesideSplit", {.n_experts = 2, .has_split_experts = true},
                 block + "ffn_up_exps.weight", {64, 96, 2}),
      WithTensor("T_llama_OneExpertTooMany", {.n_experts = 2, .has_split_experts = true},
                 block + "ffn_up.2.weight", {64, 96}),
      WithTensor("T_gemma_PostNorm", {.architecture = "gemma"}, block + "post_ffw_norm.weight",
                 {64}),
      WithTensor("T_gpt_oss_SecondNorm", {.architecture = "gpt-oss"}, block + "ffn_norm.weight",
                 {64}),
      WithTensor("T_seed_oss_SecondNorm", {.architecture = "seed_oss"}, block + "ffn_norm.weight",
                 {64}),
      WithTensor("T_olmo2_NormBeforeABlock", {.architecture = "olmo2"}, block + "attn_norm.weight",
                 {64}),
      WithTensor("T_exaone4_NormBeforeABlock", {.architecture = "exaone4"},
                 block + "ffn_norm.weight", {64}),
      WithTensor("T_granitemoe_GateOfTheSharedExpert", {.architecture = "granitemoe"},
                 block + "ffn_gate_inp_shexp.weight", {64}),
      WithTensor("T_llama_BiasBesideExperts", {.n_experts = 4}, block + "ffn_up.bias", {96}),
      WithTensor("T_qwen3moe_BiasOfTheChoice", {.architecture = "qwen3moe"},
                 block + "exp_probs_b.bias", {4}),
      WithTensor("T_glm4moe_ExpertsInADenseLayer", {.architecture = "glm4moe"},
                 block + "ffn_gate_inp.weight", {64, 4}),
      WithTensor("T_glm4moe_LayerBeyondThoseLeftOut", {.architecture = "glm4moe"},
                 "blk.3.attn_norm.weight", {64}),
      WithTensor("T_ernie4_5_moe_LayerBeyondTheLast", {.architecture = "ernie4_5-moe"},
                 "blk.2.attn_norm.weight", {64}),
      WithoutTensor("T_glm4moe_NeedsABiasOfTheChoice", {.architecture = "glm4moe"},
                    "blk.1.exp_probs_b.bias"),
      WithTensor("T_bailingmoe_BiasOfTheChoice", {.architecture = "bailingmoe"},
                 block + "exp_probs_b.bias", {4}),
      WithoutTensor("T_minimax_m2_NeedsABiasOfTheChoice", {.architecture = "minimax-m2"},
                    "blk.0.exp_probs_b.bias"),
      WithoutTensor("T_minimax_m2_NeedsNorms", {.architecture = "minimax-m2"},
                    "blk.1.attn_q_norm.weight"),
      WithTensor("T_minimax_m2_SharedExpert", {.architecture = "minimax-m2"},
                 block + "ffn_up_shexp.weight", {64, 96}),
      WithoutTensor("T_dots1_NeedsNorms", {.architecture = "dots1"}, "blk.1.attn_k_norm.weight"),
      WithoutTensor("T_glm4moe_NeedsBothNormsOfHeads",
                    {.architecture = "glm4moe", .has_qk_norm = true}, "blk.0.attn_k_norm.weight"),
      WithoutTensor("T_ernie4_5_moe_NeedsTheDenseNet", {.architecture = "ernie4_5-moe"},
                    "blk.0.ffn_gate.weight"),
      WithoutTensor("T_ernie4_5_moe_NeedsTheSharedExpert", {.architecture = "ernie4_5-moe"},
                    "blk.1.ffn_up_shexp.weight"),
      WithTensor("T_deepseek2_PlainKeys", {.architecture = "deepseek2"}, block + "attn_k.weight",
                 {64, 32}),
      WithTensor("T_deepseek2_BothKindsOfMatrices", {.architecture = "deepseek2"},
                 block + "attn_kv_b.weight", {24, 128}),
      WithTensor("T_deepseek2_QueriesWithAndWithoutALatent", {.architecture = "deepseek2"},
                 block + "attn_q.weight", {64, 80}),
      WithoutTensor("T_deepseek2_NeedsKeysOfTheHeads", {.architecture = "deepseek2"},
                    "blk.1.attn_k_b.weight"),
      WithoutTensor("T_deepseek2_NeedsTheNormOfTheLatent", {.architecture = "deepseek2"},
                    "blk.0.attn_kv_a_norm.weight"),
      WithoutTensor("T_deepseek2_NeedsMatricesOfTheHeads",
                    {.architecture = "deepseek2", .has_fused_latent = true},
                    "blk.1.attn_kv_b.weight"),
      WithTensor("T_arcee_Gate", {.architecture = "arcee"}, block + "ffn_gate.weight", {64, 96}),
      WithoutTensor("T_arcee_NeedsAllBiases", {.architecture = "arcee", .has_ffn_bias = true},
                    block + "ffn_down.bias"),
      WithoutTensor("T_hunyuan_dense_NeedsNorms", {.architecture = "hunyuan-dense"},
                    block + "attn_q_norm.weight"),
      WithoutTensor("T_hunyuan_moe_NeedsTheSharedExpert", {.architecture = "hunyuan-moe"},
                    block + "ffn_up_shexp.weight"),
      WithTensor("T_internlm2_QueryNorm", {.architecture = "internlm2"},
                 block + "attn_q_norm.weight", {16}),
      WithTensor("T_qwen2_Sinks", {.architecture = "qwen2"}, block + "attn_sinks.weight", {4}),
      Renamed("T_qwen3_NormsMissing", {.architecture = "qwen2"}, "qwen3",
              "blk.0.attn_q_norm.weight", "absent"),
      Renamed("T_gemma2_HasNoQueryNorm", {.architecture = "gemma3"}, "gemma2",
              "blk.0.attn_q_norm.weight", "F32"),
      Renamed("T_gemma3_NeedsQueryNorm", {.architecture = "gemma2"}, "gemma3",
              "blk.0.attn_q_norm.weight", "absent"),
      Renamed("T_glm4_NeedsPostNorms", {.architecture = "phi3"}, "glm4",
              "blk.0.post_attention_norm.weight", "absent"),
  };
}

std::vector<Case> LayerNormTensorCases() {
  const TinyModelOptions plus = {.architecture = "command-r", .has_qk_norm = true};
  const std::string block = "blk.0.", last = "blk.1.";
  GgufBuilder one_norm_of_all = MakeTinyModel({.architecture = "command-r"});
  const uint64_t head[] = {16};
  one_norm_of_all.AddF32Tensor(block + "attn_q_norm.weight", head, std::vector<float>(16));
  return {
      Refused("T_command_r_OneNormOfAllHeads", one_norm_of_all,
              block + "attn_q_norm.weight (shape)", "[16]"),
      WithoutTensor("T_command_r_NeedsBothNormsOfHeads", plus, last + "attn_k_norm.weight"),
      WithTensor("T_command_r_SecondNorm", {.architecture = "command-r"}, block + "ffn_norm.weight",
                 {64}),
      WithTensor("T_cohere2_NormsOfHeads", {.architecture = "cohere2"},
                 block + "attn_q_norm.weight", {16, 4}),
      WithTensor("T_starcoder2_Gate", {.architecture = "starcoder2"}, block + "ffn_gate.weight",
                 {64, 96}),
      WithoutTensor("T_starcoder2_NeedsAllBiasesOfNorms", {.architecture = "starcoder2"},
                    last + "ffn_norm.bias"),
      WithoutTensor("T_nemotron_NeedsTheBiasOfTheOutputNorm", {.architecture = "nemotron"},
                    "output_norm.bias"),
      WithoutTensor("T_stablelm_NeedsEachSecondNorm", {.architecture = "stablelm"},
                    last + "ffn_norm.weight"),
      WithTensor("T_stablelm_BiasOfTheLogits", {.architecture = "stablelm"}, "output.bias", {300}),
      WithoutTensor("T_phi2_NeedsTheBiasOfTheLogits", {.architecture = "phi2"}, "output.bias"),
      WithoutTensor("T_falcon_NeedsEachSecondNorm",
                    {.architecture = "falcon", .has_second_norm = true},
                    last + "attn_norm_2.weight"),
      WithTensor("T_falcon_NormOfTheNet", {.architecture = "falcon"}, block + "ffn_norm.weight",
                 {64}),
      WithoutTensor("T_gptneox_NeedsBothNorms", {.architecture = "gptneox", .is_parallel = true},
                    last + "ffn_norm.weight"),
      WithTensor("T_llama_BiasOfANorm", {}, block + "attn_norm.bias", {64}),
  };
}

std::vector<Case> AllCases() {
  std::vector<Case> all;
  for (const auto& part : {ExpertCases(), DenseAndSharedCases(), GroupCases(), LatentCases(),
                           WindowCases(), ScaleCases(), GraniteCases(), SectionCases(),
                           LayerNormCases(), TensorCases(), LayerNormTensorCases()})
    all.insert(all.end(), part.begin(), part.end());
  return all;
}

class FamilyRejectionTest : public ::testing::TestWithParam<Case> {};

TEST_P(FamilyRejectionTest, NamesFieldValueAndOffset) { testing::ExpectRefused(GetParam()); }

INSTANTIATE_TEST_SUITE_P(Refuses, FamilyRejectionTest, ::testing::ValuesIn(AllCases()),
                         [](const auto& test) { return test.param.name; });

Status Describe(const GgufBuilder& builder) {
  const testing::TempFile path(builder.Build());
  return DescribeModel(**GgufFile::Open(path.path())).status();
}

TEST(FamilyRejectionTest, AMissingExpertIsNamedBeforeATableIsMade) {
  GgufBuilder builder = MakeTinyModel({.n_layers = 1});
  builder.AddUint32("llama.expert_count", 1000).AddUint32("llama.expert_used_count", 2);
  const uint64_t shape[] = {64, 96};
  for (const char* name : {"blk.0.ffn_gate.0.weight", "blk.0.ffn_up.0.weight"})
    builder.AddF32Tensor(name, shape, std::vector<float>(64 * 96));
  const Status status = Describe(builder);
  EXPECT_EQ(status.reason(), kModelFileInvalid);
  EXPECT_EQ(testing::Detail(status, "field"), "blk.0.ffn_down.0.weight") << status.ToString();
}

TEST(FamilyRejectionTest, ExpertsOfOneLayerHaveOneType) {
  GgufBuilder builder = MakeTinyModel({.n_layers = 1});
  builder.AddUint32("llama.expert_count", 2).AddUint32("llama.expert_used_count", 1);
  const uint64_t router[] = {64, 2}, up[] = {64, 96}, down[] = {96, 64};
  builder.AddF32Tensor("blk.0.ffn_gate_inp.weight", router, std::vector<float>(128));
  constexpr uint32_t kF32 = 0, kF16 = 1;
  for (const uint32_t type : {kF32, kF16}) {
    const std::string expert = type == kF32 ? "0" : "1";
    const std::string bytes(64 * 96 * (type == kF32 ? 4 : 2), '\0');
    builder.AddTensor("blk.0.ffn_gate." + expert + ".weight", up, type, bytes)
        .AddTensor("blk.0.ffn_up." + expert + ".weight", up, type, bytes)
        .AddTensor("blk.0.ffn_down." + expert + ".weight", down, type, bytes);
  }
  const Status status = Describe(builder);
  EXPECT_EQ(status.reason(), kArchitectureUnsupported);
  EXPECT_EQ(testing::Detail(status, "field"), "blk.0.ffn_gate.1.weight (type)")
      << status.ToString();
}

}  // namespace
}  // namespace forge
