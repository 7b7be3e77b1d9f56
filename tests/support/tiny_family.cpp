#include "tests/support/tiny_family.h"

namespace forge::testing {

TinyFamily TinyFamilyOf(const std::string& name) {
  if (name == "arcee") return {.has_gate = false};
  if (name == "bailingmoe")
    return {.has_experts = true, .has_shared_expert = true, .counts_shared_experts = true};
  if (name == "bailingmoe2")
    return {.has_fused_qkv = true,
            .has_qk_norm = true,
            .has_experts = true,
            .has_shared_expert = true,
            .counts_shared_experts = true,
            .has_dense_layer = true,
            .has_selection_bias = true,
            .has_sigmoids = true,
            .has_expert_groups = true,
            .has_weight_scale = true,
            .has_prediction_layer = true};
  if (name == "bert")
    return {.has_layer_norms = true,
            .has_all_biases = true,
            .has_pre_norms = false,
            .has_gate = false,
            .is_encoder = true,
            .has_positions = true};
  if (name == "chatglm")
    return {.has_qkv_bias = true, .has_fused_qkv = true, .has_fused_gate_up = true};
  if (name == "cohere2")
    return {.has_layer_norms = true,
            .lacks_norm_biases = true,
            .is_parallel = true,
            .has_logit_scale = true,
            .has_tied_output = true,
            .has_window = true};
  if (name == "command-r")
    return {.has_layer_norms = true,
            .lacks_norm_biases = true,
            .has_own_head_norms = true,
            .is_parallel = true,
            .has_logit_scale = true,
            .has_tied_output = true};
  if (name == "deepseek2")
    return {.has_experts = true,
            .has_shared_expert = true,
            .counts_shared_experts = true,
            .has_dense_layer = true,
            .has_selection_bias = true,
            .has_sigmoids = true,
            .has_weight_scale = true,
            .has_latent = true};
  if (name == "dots1")
    return {.has_qk_norm = true,
            .has_experts = true,
            .has_shared_expert = true,
            .counts_shared_experts = true,
            .has_dense_layer = true,
            .has_selection_bias = true,
            .has_sigmoids = true,
            .has_weight_scale = true};
  if (name == "ernie4_5-moe")
    return {.has_experts = true,
            .has_shared_expert = true,
            .has_dense_layer = true,
            .has_selection_bias = true};
  if (name == "exaone4")
    return {.has_qk_norm = true, .has_pre_norms = false, .has_post_norms = true};
  if (name == "falcon")
    return {.has_fused_qkv = true, .has_layer_norms = true, .is_parallel = true, .has_gate = false};
  if (name == "gemma2") return {.has_post_norms = true, .has_window = true};
  if (name == "gemma3") return {.has_qk_norm = true, .has_post_norms = true, .has_window = true};
  if (name == "gemma4")
    return {.has_tied_output = true, .has_window = true, .has_layer_kinds = true};
  if (name == "glm4")
    return {.has_qkv_bias = true, .has_post_norms = true, .has_fused_gate_up = true};
  if (name == "glm4moe")
    return {.has_qkv_bias = true,
            .has_ffn_norm_after_attention = true,
            .has_experts = true,
            .has_shared_expert = true,
            .counts_shared_experts = true,
            .has_dense_layer = true,
            .has_selection_bias = true,
            .has_sigmoids = true,
            .has_weight_scale = true,
            .has_prediction_layer = true};
  if (name == "gpt-oss")
    return {.has_qkv_bias = true,
            .has_ffn_norm_after_attention = true,
            .has_experts = true,
            .has_window = true};
  if (name == "gptneox")
    return {.has_fused_qkv = true,
            .has_layer_norms = true,
            .says_order = true,
            .has_all_biases = true,
            .has_gate = false};
  if (name == "granite") return {.has_scales = true};
  if (name == "granitemoe")
    return {.has_scales = true, .has_experts = true, .has_shared_expert = true};
  if (name == "granitehybrid")
    return {.has_scales = true, .has_shared_expert = true, .has_state_space = true};
  if (name == "hunyuan-dense") return {.has_qk_norm = true};
  if (name == "hunyuan-moe")
    return {.has_qk_norm = true, .has_experts = true, .has_shared_expert = true};
  if (name == "lfm2") return {.has_qk_norm = true, .has_tied_output = true, .has_short_conv = true};
  if (name == "lfm2moe")
    return {.has_qk_norm = true,
            .has_tied_output = true,
            .has_experts = true,
            .has_dense_layer = true,
            .has_selection_bias = true,
            .has_sigmoids = true,
            .has_short_conv = true};
  if (name == "minimax-m2")
    return {.has_qk_norm = true,
            .norms_whole_projections = true,
            .has_experts = true,
            .has_selection_bias = true,
            .has_sigmoids = true};
  if (name == "mistral3") return {.has_query_growth = true};
  if (name == "mixtral") return {.has_experts = true};
  if (name == "nemotron") return {.has_layer_norms = true, .has_gate = false};
  if (name == "nemotron_h")
    return {.has_gate = false, .has_state_space = true, .has_single_parts = true};
  if (name == "nemotron_h_moe")
    return {.has_gate = false,
            .has_experts = true,
            .has_shared_expert = true,
            .has_selection_bias = true,
            .has_weight_scale = true,
            .has_state_space = true,
            .has_single_parts = true};
  if (name == "nomic-bert")
    return {
        .has_fused_qkv = true, .has_layer_norms = true, .has_pre_norms = false, .is_encoder = true};
  if (name == "olmo2")
    return {.has_qk_norm = true,
            .norms_whole_projections = true,
            .has_pre_norms = false,
            .has_post_norms = true};
  if (name == "olmoe")
    return {.has_qk_norm = true, .norms_whole_projections = true, .has_experts = true};
  if (name == "phi2")
    return {.has_fused_qkv = true,
            .has_layer_norms = true,
            .is_parallel = true,
            .has_all_biases = true,
            .has_logit_bias = true,
            .has_gate = false};
  if (name == "phi3") return {.has_fused_qkv = true, .has_fused_gate_up = true};
  if (name == "qwen2") return {.has_qkv_bias = true};
  if (name == "qwen2moe")
    return {.has_qkv_bias = true,
            .has_experts = true,
            .has_shared_expert = true,
            .has_shared_gate = true};
  if (name == "qwen2vl") return {.has_qkv_bias = true, .has_rope_sections = true};
  if (name == "qwen3") return {.has_qk_norm = true};
  if (name == "qwen35")
    return {.has_qk_norm = true,
            .has_ffn_norm_after_attention = true,
            .has_rope_sections = true,
            .has_prediction_layer = true,
            .is_hybrid = true};
  if (name == "qwen35moe")
    return {.has_qk_norm = true,
            .has_ffn_norm_after_attention = true,
            .has_rope_sections = true,
            .has_experts = true,
            .has_shared_expert = true,
            .has_shared_gate = true,
            .is_hybrid = true};
  if (name == "qwen3next")
    return {.has_qk_norm = true,
            .has_ffn_norm_after_attention = true,
            .has_experts = true,
            .has_shared_expert = true,
            .has_shared_gate = true,
            .is_hybrid = true,
            .has_fused_strengths = true};
  if (name == "qwen3moe") return {.has_qk_norm = true, .has_experts = true};
  if (name == "qwen3vl") return {.has_qk_norm = true, .has_rope_sections = true};
  if (name == "qwen3vlmoe")
    return {.has_qk_norm = true, .has_rope_sections = true, .has_experts = true};
  if (name == "seed_oss") return {.has_qkv_bias = true, .has_ffn_norm_after_attention = true};
  if (name == "stablelm") return {.has_layer_norms = true, .has_own_head_norms = true};
  if (name == "starcoder2")
    return {.has_layer_norms = true, .has_all_biases = true, .has_gate = false};
  return {};  // exaone, gemma, internlm2, smollm3, llama and its other names
}

}  // namespace forge::testing
