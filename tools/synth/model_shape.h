#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace forge {

// The measures of a published model, from which a file of the same tensors can be made.
struct ModelShape {
  std::string_view name;          // "llama-3.2-1b"
  std::string_view architecture;  // general.architecture
  uint32_t n_layers = 0;          // of the published model
  uint32_t default_layers = 0;    // as many are written unless asked otherwise
  uint32_t n_embd = 0;
  uint32_t n_ff = 0;
  uint32_t n_heads = 0;
  uint32_t n_kv_heads = 0;
  uint32_t head_dim = 0;
  uint32_t n_vocab = 0;
  uint32_t n_context = 0;
  float rms_epsilon = 1e-5f;
  float rope_base = 10000.0f;
  uint32_t rotary_dim = 0;  // written where it is not head_dim; 0: head_dim
  uint32_t n_experts = 0;   // 0: a dense feed-forward net
  uint32_t n_experts_used = 0;
  uint32_t n_expert_ff = 0;
  uint32_t n_shared_experts = 0;   // that every token uses, in one net
  uint32_t n_shared_ff = 0;        // the length of that net, in files that tell it
  uint32_t n_dense_layers = 0;     // the first, without experts
  uint32_t latent_rank = 0;        // of keys and values; 0: they are projections. With a latent
                                   // head_dim is a head's query and n_kv_heads 1
  uint32_t value_dim = 0;          // of a latent's heads
  uint32_t n_delta_key_heads = 0;  // 0: no layer is a delta net; else three of four are one, and
                                   // the heads of the others have gates
  uint32_t n_delta_value_heads = 0;
  uint32_t delta_head_dim = 0;
  // Bit i: layer i has attention; the others are short convolutions or state spaces. 0: all have.
  uint64_t attention_layers = 0;
  uint32_t n_space_heads = 0;  // of state spaces; 0: the others are convolutions
  uint32_t space_head_dim = 0;
  uint32_t space_state_dim = 0;
  uint32_t n_space_groups = 1;
  // Bit i: layer i is a feed-forward net without a gate, and the others have no net. 0: all layers
  // have a net behind what they else are.
  uint64_t net_layers = 0;
  float yarn_factor = 0.0f;  // 0: positions are not scaled
  float yarn_log_multiplier = 0.0f;
  uint32_t yarn_context = 0;    // the original one
  uint32_t sliding_window = 0;  // 0: the family has none
  // Gemma 4's small models: every full_period-th layer has no window, and heads of its own size.
  // The layers behind the first n_own_kv_layers share the keys and values of those, and have a
  // wider net. Each gets an input of its own. 0: none of these.
  uint32_t full_period = 0;
  uint32_t full_head_dim = 0;
  float window_rope_base = 0.0f;
  uint32_t n_own_kv_layers = 0;
  uint32_t n_shared_kv_ff = 0;
  uint32_t n_layer_input = 0;
  float final_soft_cap = 0.0f;
  float embedding_scale = 0.0f;  // 0: none of these four is written
  float residual_scale = 0.0f;
  float attention_scale = 0.0f;
  float logit_scale = 0.0f;
  float rope_factor = 0.0f;  // of Llama 3's frequency factors; 0: no such tensor
  bool has_tied_output = false;
  bool has_qkv_bias = false;
  bool has_qk_norm = false;
  bool has_post_norms = false;     // after attention and feed-forward
  bool has_fused_gate_up = false;  // one matrix of 2 n_ff rows, ffn_up

  bool is_hybrid() const { return n_delta_key_heads > 0; }
  bool has_short_conv() const { return attention_layers != 0 && n_space_heads == 0; }
  // Of a model that names its layers with attention.
  bool lacks_attention(uint32_t layer) const {
    return attention_layers != 0 && (layer >= 64 || (attention_layers >> layer & 1) == 0);
  }
  bool has_single_parts() const { return net_layers != 0; }
  bool HasNet(uint32_t layer) const {
    return net_layers == 0 || (layer < 64 && (net_layers >> layer & 1) != 0);
  }
  // Attention, or what stands in its place.
  bool HasMixer(uint32_t layer) const { return net_layers == 0 || !HasNet(layer); }
  bool IsFull(uint32_t layer) const { return full_period > 0 && (layer + 1) % full_period == 0; }
  uint32_t HeadDim(uint32_t layer) const { return IsFull(layer) ? full_head_dim : head_dim; }
  // Frequency factors are those of layers without a window.
  uint32_t RopeFactorDim() const { return full_period > 0 ? full_head_dim : head_dim; }
  bool HasOwnKv(uint32_t layer) const { return n_own_kv_layers == 0 || layer < n_own_kv_layers; }
  uint32_t FeedForward(uint32_t layer) const { return HasOwnKv(layer) ? n_ff : n_shared_kv_ff; }
  // Whether the file must say head_dim, because it is not n_embd / n_heads.
  bool writes_head_dim() const { return latent_rank == 0 && head_dim * n_heads != n_embd; }
};

// Every shape that forge-synth knows, by family and size.
std::span<const ModelShape> ModelShapes();
// nullptr if there is none of that name.
const ModelShape* FindModelShape(std::string_view name);

}  // namespace forge
