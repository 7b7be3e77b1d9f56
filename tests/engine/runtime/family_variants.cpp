#include "tests/engine/runtime/family_variants.h"

#include <ostream>
#include <span>
#include <string_view>

#include "engine/arch/architecture.h"
#include "tests/support/tiny_family.h"

namespace forge::testing {
namespace {

using Variant = FamilyVariant;

std::vector<Variant> PlainVariants() {
  std::vector<Variant> variants;
  // Seven layers reach Gemma 3's first full layer, four the first of SmolLM 3 and of Command R7B
  // without positions, and six have Gemma 4's that share keys and values and twice all parts of
  // Nemotron H.
  const auto n_layers = [](std::string_view family) {
    return family == "gemma3"                                   ? 7u
           : family == "gemma4"                                 ? 6u
           : TinyFamilyOf(std::string(family)).has_single_parts ? 6u
           : family == "smollm3" || family == "cohere2"         ? 4u
                                                                : 2u;
  };
  for (const Architecture& family : Architectures()) {
    const std::string name(family.name);
    if (TinyFamilyOf(name).is_encoder) continue;  // see encoder_test.cpp
    variants.push_back(
        {.name = name, .model = {.architecture = name, .n_layers = n_layers(family.name)}});
  }
  return variants;
}

std::vector<Variant> ExpertVariants() {
  return {
      {.name = "llama with experts", .model = {.n_experts = 4}},
      {.name = "llama with split experts", .model = {.n_experts = 4, .has_split_experts = true}},
      {.name = "mixtral with split experts",
       .model = {.architecture = "mixtral", .has_split_experts = true}},
      {.name = "mixtral with a window", .model = {.architecture = "mixtral", .window = 40}},
      {.name = "qwen2moe of many experts",
       .model = {.architecture = "qwen2moe", .n_experts = 11, .n_experts_used = 5}},
      {.name = "ernie4_5-moe with split experts",
       .model = {.architecture = "ernie4_5-moe", .n_layers = 3, .has_split_experts = true}},
      {.name = "ernie4_5-moe of a dense net wider than its experts",
       .model = {.architecture = "ernie4_5-moe", .n_experts_used = 1}},
      {.name = "glm4moe of many experts",
       .model = {.architecture = "glm4moe", .n_layers = 3, .n_experts = 13, .n_experts_used = 5}},
      {.name = "glm4moe with norms of heads and half a rotation",
       .model = {.architecture = "glm4moe", .rope_dimension = 8, .has_qk_norm = true}},
      {.name = "minimax-m2 of half a rotation",
       .model = {.architecture = "minimax-m2", .rope_dimension = 8}},
      {.name = "bailingmoe2 of many experts and half a rotation",
       .model = {.architecture = "bailingmoe2",
                 .n_layers = 3,
                 .rope_dimension = 8,
                 .n_experts = 24,
                 .n_experts_used = 5}},
      {.name = "nemotron_h_moe of many experts in groups",
       .model =
           {.architecture = "nemotron_h_moe", .n_layers = 4, .n_experts = 24, .n_experts_used = 5},
       .add =
           [](GgufBuilder& builder) {
             builder.AddUint32("nemotron_h_moe.expert_group_count", 4)
                 .AddUint32("nemotron_h_moe.expert_group_used_count", 2);
           }},
      {.name = "nemotron_h with biases and no state space",
       .model = {.architecture = "nemotron_h", .has_qkv_bias = true, .has_ffn_bias = true}},
      {.name = "dots1 of many experts",
       .model = {.architecture = "dots1", .n_experts = 21, .n_experts_used = 6}},
      {.name = "hunyuan-moe of many experts",
       .model = {.architecture = "hunyuan-moe", .n_experts = 18, .n_experts_used = 7}},
      {.name = "qwen3moe that uses all",
       .model = {.architecture = "qwen3moe", .n_experts_used = 4}},
      {.name = "qwen3moe that uses one",
       .model = {.architecture = "qwen3moe", .n_experts_used = 1}},
  };
}

std::vector<Variant> AttentionVariants() {
  const auto yarn = [](GgufBuilder& builder) {
    builder.AddString("gpt-oss.rope.scaling.type", "yarn")
        .AddFloat32("gpt-oss.rope.scaling.factor", 32.0f)
        .AddUint32("gpt-oss.rope.scaling.original_context_length", 32);
  };
  const auto linear = [](GgufBuilder& builder) {
    builder.AddString("gemma3.rope.scaling.type", "linear")
        .AddFloat32("gemma3.rope.scaling.factor", 8.0f);
  };
  const auto pattern = [](GgufBuilder& builder) {
    const std::string flags{0, 1, 1};
    builder.AddRaw("gemma3.attention.sliding_window_pattern", 9,
                   LittleEndian32(7) + LittleEndian64(3) + flags);
  };
  const auto period = [](GgufBuilder& builder) {
    builder.AddUint32("gemma3.attention.sliding_window_pattern", 2);
    builder.AddFloat32("gemma3.rope.freq_base_swa", 500.0f);
  };
  const auto soft_caps = [](GgufBuilder& builder) {
    builder.AddFloat32("gemma2.attn_logit_softcapping", 2.0f)
        .AddFloat32("gemma2.final_logit_softcapping", 1.5f);
  };
  const uint64_t half[] = {4};
  const std::vector<float> factors = {1.0f, 1.5f, 4.0f, 8.0f};
  return {
      {.name = "mistral with a window", .model = {.architecture = "mistral", .window = 33}},
      {.name = "a window of one", .model = {.window = 1}},
      {.name = "phi3 with a window", .model = {.architecture = "phi3", .window = 20}},
      {.name = "phi3 of a short context",
       .model = {.architecture = "phi3", .has_long_rope = true},
       .context_length = 64},
      {.name = "phi3 of a long context",
       .model = {.architecture = "phi3", .has_long_rope = true},
       .context_length = 256},
      {.name = "llama with long RoPE of a short context",
       .model = {.has_long_rope = true},
       .context_length = 64},
      {.name = "llama with long RoPE of a long context",
       .model = {.has_long_rope = true},
       .context_length = 256},
      {.name = "phi3 of a narrow rotation",
       .model = {.architecture = "phi3", .rope_dimension = 12}},
      {.name = "gpt-oss with YaRN", .model = {.architecture = "gpt-oss"}, .add = yarn},
      {.name = "gemma2 with low caps", .model = {.architecture = "gemma2"}, .add = soft_caps},
      {.name = "gemma2 of 27B", .model = {.architecture = "gemma2", .n_layers = 46, .head_dim = 8}},
      {.name = "gemma3 of 27B", .model = {.architecture = "gemma3", .n_layers = 62, .head_dim = 8}},
      {.name = "gemma3 with a scaled global rotation",
       .model = {.architecture = "gemma3", .n_layers = 6},
       .add = linear},
      {.name = "gemma3 with a pattern of layers",
       .model = {.architecture = "gemma3", .n_layers = 3},
       .add = pattern},
      {.name = "gemma3 with a period", .model = {.architecture = "gemma3"}, .add = period},
      {.name = "glm4 of half a rotation", .model = {.architecture = "glm4", .rope_dimension = 8}},
      {.name = "chatglm of half a rotation",
       .model = {.architecture = "chatglm", .rope_dimension = 8}},
      {.name = "hunyuan-dense of half a rotation",
       .model = {.architecture = "hunyuan-dense", .rope_dimension = 8}},
      {.name = "hunyuan-dense with YaRN",
       .model = {.architecture = "hunyuan-dense"},
       .add =
           [](GgufBuilder& builder) {
             builder.AddString("hunyuan-dense.rope.scaling.type", "yarn")
                 .AddFloat32("hunyuan-dense.rope.scaling.factor", 32.0f)
                 .AddUint32("hunyuan-dense.rope.scaling.original_context_length", 32);
           }},
      {.name = "qwen3 with wide heads", .model = {.architecture = "qwen3", .head_dim = 40}},
      {.name = "gemma with tied output",
       .model = {.architecture = "gemma", .has_tied_output = true}},
      {.name = "yi with frequency factors",
       .model = {.architecture = "yi", .rope_dimension = 8},
       .add =
           [=](GgufBuilder& builder) { builder.AddF32Tensor("rope_freqs.weight", half, factors); }},
  };
}

std::vector<Variant> NormAndScaleVariants() {
  const auto yarn = [](GgufBuilder& builder) {
    builder.AddString("olmo2.rope.scaling.type", "yarn")
        .AddFloat32("olmo2.rope.scaling.factor", 8.0f)
        .AddUint32("olmo2.rope.scaling.original_context_length", 64);
  };
  const auto own_base = [](GgufBuilder& builder) {
    builder.AddFloat32("olmo2.rope.freq_base_swa", 500.0f);
  };
  const auto yarn_of_mistral = [](GgufBuilder& builder) {
    builder.AddString("mistral3.rope.scaling.type", "yarn")
        .AddFloat32("mistral3.rope.scaling.factor", 16.0f)
        .AddFloat32("mistral3.rope.scaling.yarn_log_multiplier", 1.0f);
  };
  const auto no_positions = [](GgufBuilder& builder) {
    builder.AddBool("granite.rope.scaling.finetuned", false);
  };
  return {
      {.name = "exaone4 with a window",
       .model = {.architecture = "exaone4", .n_layers = 4, .window = 24}},
      {.name = "olmo2 with a window and YaRN",
       .model = {.architecture = "olmo2", .n_layers = 4, .window = 24},
       .add = yarn},
      {.name = "olmo2 with a window of its own base",
       .model = {.architecture = "olmo2", .n_layers = 4, .window = 24},
       .add = own_base},
      {.name = "mistral3 with YaRN", .model = {.architecture = "mistral3"}, .add = yarn_of_mistral},
      {.name = "mistral3 of a short context",
       .model = {.architecture = "mistral3"},
       .context_length = 64},
      {.name = "granite with a large epsilon",
       .model = {.architecture = "granite", .rms_epsilon = 0.3f}},
      {.name = "granite without positions",
       .model = {.architecture = "granite"},
       .add = no_positions},
      {.name = "llama with biases", .model = {.has_qkv_bias = true, .has_ffn_bias = true}},
      {.name = "arcee with biases",
       .model = {.architecture = "arcee", .has_qkv_bias = true, .has_ffn_bias = true}},
      {.name = "phi3 with biases", .model = {.architecture = "phi3", .has_ffn_bias = true}},
  };
}

std::vector<Variant> LatentVariants() {
  const auto yarn = [](float multiplier) {
    return [multiplier](GgufBuilder& builder) {
      builder.AddString("deepseek2.rope.scaling.type", "yarn")
          .AddFloat32("deepseek2.rope.scaling.factor", 40.0f)
          .AddUint32("deepseek2.rope.scaling.original_context_length", 64);
      if (multiplier != 0.0f)
        builder.AddFloat32("deepseek2.rope.scaling.yarn_log_multiplier", multiplier);
    };
  };
  const auto groups = [](GgufBuilder& builder) {
    builder.AddUint32("deepseek2.expert_group_count", 4)
        .AddUint32("deepseek2.expert_group_used_count", 2);
  };
  const auto growth = [](GgufBuilder& builder) {
    builder.AddFloat32("deepseek2.attention.temperature_scale", 0.5f)
        .AddUint32("deepseek2.attention.temperature_length", 64);
  };
  const TinyModelOptions plain = {.architecture = "deepseek2"};
  TinyModelOptions lite = plain, fused = plain, fused_lite = plain, of_groups = plain;
  lite.is_lite = fused_lite.is_lite = true;
  fused.has_fused_latent = fused_lite.has_fused_latent = true;
  of_groups.n_layers = 3;
  of_groups.n_experts = 16;
  of_groups.n_experts_used = 5;
  TinyModelOptions lite_of_groups = of_groups, of_one_head = plain;
  lite_of_groups.is_lite = true;
  of_one_head.n_heads = of_one_head.n_kv_heads = 1;
  return {
      {.name = "deepseek2 as V2 Lite", .model = lite, .add = yarn(0.0707f)},
      {.name = "deepseek2 as V3", .model = of_groups, .add = groups},
      {.name = "deepseek2 of a softmax over groups", .model = lite_of_groups, .add = groups},
      {.name = "deepseek2 with YaRN", .model = plain, .add = yarn(0.1f)},
      {.name = "deepseek2 with YaRN that turns alone", .model = plain, .add = yarn(0.0f)},
      {.name = "deepseek2 as older files have it", .model = fused, .add = yarn(0.1f)},
      {.name = "deepseek2 as older files of Lite have it", .model = fused_lite},
      {.name = "deepseek2 of one head", .model = of_one_head},
      {.name = "deepseek2 of queries that grow", .model = plain, .add = growth},
  };
}

std::vector<Variant> LayerNormVariants() {
  const auto period = [](GgufBuilder& builder) {
    builder.AddUint32("cohere2.attention.sliding_window_pattern", 2);
  };
  const auto norm_biases = [](GgufBuilder& builder) {
    const uint64_t shape[] = {64};
    std::vector<float> bias;
    for (int i = 0; i < 64; ++i) bias.push_back(static_cast<float>(i % 7) * 0.1f - 0.25f);
    for (const char* name : {"blk.0.attn_norm.bias", "blk.1.attn_norm.bias", "output_norm.bias"})
      builder.AddF32Tensor(name, shape, bias);
  };
  return {
      {.name = "command-r with biases of norms",
       .model = {.architecture = "command-r"},
       .add = norm_biases},
      {.name = "cohere2 with a period", .model = {.architecture = "cohere2"}, .add = period},
      {.name = "command-r with norms of heads",
       .model = {.architecture = "command-r", .has_qk_norm = true}},
      {.name = "command-r with a large epsilon",
       .model = {.architecture = "command-r", .rms_epsilon = 0.3f}},
      {.name = "command-r with biases",
       .model = {.architecture = "command-r", .has_qkv_bias = true}},
      {.name = "stablelm with norms of heads and part of a rotation",
       .model = {.architecture = "stablelm", .rope_dimension = 4, .has_qk_norm = true}},
      {.name = "stablelm in parallel", .model = {.architecture = "stablelm", .is_parallel = true}},
      {.name = "stablelm in parallel with norms of heads",
       .model = {.architecture = "stablelm", .has_qk_norm = true, .is_parallel = true}},
      {.name = "stablelm with biases", .model = {.architecture = "stablelm", .has_qkv_bias = true}},
      {.name = "starcoder2 with a window", .model = {.architecture = "starcoder2", .window = 24}},
      {.name = "starcoder2 with tied output",
       .model = {.architecture = "starcoder2", .has_tied_output = true}},
      {.name = "nemotron with biases and half a rotation",
       .model = {.architecture = "nemotron", .rope_dimension = 8, .has_ffn_bias = true}},
      {.name = "gptneox in parallel", .model = {.architecture = "gptneox", .is_parallel = true}},
      {.name = "falcon with two norms",
       .model = {.architecture = "falcon", .n_kv_heads = 1, .has_second_norm = true}},
      {.name = "phi2 of a narrow rotation", .model = {.architecture = "phi2", .rope_dimension = 6}},
  };
}

std::vector<Variant> Gemma4Variants() {
  const TinyModelOptions small = {.architecture = "gemma4", .n_layers = 6};
  TinyModelOptions large = small, few = small, mixed = small, apart = small;
  large.is_large = mixed.is_large = apart.is_large = true;
  large.n_layers = mixed.n_layers = 3;
  few.n_layers = 5;
  few.n_kv_heads = 1;
  few.head_dim = 24;
  mixed.n_experts = 9;
  mixed.n_experts_used = 3;
  apart.n_layers = 2;
  apart.n_experts = 4;
  apart.has_split_experts = true;
  const auto unused = [](GgufBuilder& builder) {
    const uint64_t norm[] = {16}, matrix[] = {64, 32};
    builder.AddF32Tensor("blk.4.attn_k_norm.weight", norm, std::vector<float>(16, 0.5f))
        .AddF32Tensor("blk.4.attn_k.weight", matrix, std::vector<float>(64 * 32, 0.1f))
        .AddF32Tensor("blk.4.attn_v.weight", matrix, std::vector<float>(64 * 32, 0.1f));
  };
  TinyModelOptions narrow = large, exact = small, single = small, of_input = mixed;
  narrow.rope_dimension = 8;
  narrow.window = 40;
  exact.rms_epsilon = 0.1f;
  single.n_layers = 1;
  TinyModelOptions wide = large;
  wide.n_layers = 2;
  wide.head_dim = 256;
  of_input.is_large = false;
  return {
      {.name = "gemma4 as 31B", .model = large},
      {.name = "gemma4 as 31B with a narrow local rotation", .model = narrow},
      {.name = "gemma4 as 26B", .model = mixed},
      {.name = "gemma4 with gates and ups of experts apart", .model = apart},
      {.name = "gemma4 with experts and inputs of layers", .model = of_input},
      {.name = "gemma4 that shares nothing", .model = few},
      {.name = "gemma4 of one layer", .model = single},
      {.name = "gemma4 with a large epsilon", .model = exact},
      {.name = "gemma4 with heads of 256 and 512", .model = wide},
      {.name = "gemma4 with keys and values that nothing uses", .model = small, .add = unused},
  };
}

}  // namespace

void PrintTo(const FamilyVariant& variant, std::ostream* stream) { *stream << variant.name; }

std::vector<FamilyVariant> FamilyVariants() {
  std::vector<Variant> all;
  for (const auto& part : {PlainVariants(), ExpertVariants(), AttentionVariants(), LatentVariants(),
                           NormAndScaleVariants(), LayerNormVariants(), Gemma4Variants()})
    all.insert(all.end(), part.begin(), part.end());
  return all;
}

}  // namespace forge::testing
