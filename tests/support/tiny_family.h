#pragma once

#include <string>

namespace forge::testing {

// What the tiny models of a family have in common.
struct TinyFamily {
  bool has_qkv_bias = false;
  bool has_fused_qkv = false;
  bool has_qk_norm = false;
  bool norms_whole_projections = false;  // not each head
  bool has_layer_norms = false;          // with biases, unless
  bool lacks_norm_biases = false;        // they have none
  bool has_own_head_norms = false;       // weights for each head, where it has norms of heads
  bool is_parallel = false;              // the feed-forward net takes the norm that attention takes
  bool says_order = false;               // by a key whether it is, and has both norms anyway
  bool has_all_biases = false;           // of projections and the feed-forward net
  bool has_logit_bias = false;
  bool has_logit_scale = false;  // alone
  bool has_tied_output = false;
  bool has_pre_norms = true;
  bool has_post_norms = false;
  bool has_ffn_norm_after_attention = false;  // in the tensor's name
  bool has_rope_sections = false;
  bool has_query_growth = false;
  bool has_scales = false;  // of embeddings, attention, blocks and logits
  bool has_gate = true;
  bool has_fused_gate_up = false;
  bool has_experts = false;
  bool has_shared_expert = false;
  bool has_shared_gate = false;
  bool counts_shared_experts = false;  // in place of telling their length
  bool has_dense_layer = false;        // the first
  bool has_selection_bias = false;
  bool has_sigmoids = false;          // by which experts are chosen
  bool has_expert_groups = false;     // two
  bool has_weight_scale = false;      // of experts whose weights add up to one
  bool has_prediction_layer = false;  // after the last, and not counted by n_layers
  bool has_window = false;
  bool is_encoder = false;           // layer norms of sums, and no output
  bool has_positions = false;        // in a table
  bool is_hybrid = false;            // some layers are a delta net, heads of the others have gates
  bool has_fused_strengths = false;  // of delta nets
  bool has_short_conv = false;       // some layers are one, and the output norm has another name
  bool has_state_space = false;      // some layers are one
  // Each layer is a state space, a net without a gate or attention, see SinglePartOf.
  bool has_single_parts = false;
  bool has_layer_kinds = false;  // that differ in more than their window: tiny_gemma4.h
  bool has_latent = false;       // which all keys and values are made of

  // KV heads of each layer tell which are recurrent.
  bool has_kv_heads_of_layers() const { return has_short_conv || has_state_space; }
  bool has_recurrent_layers() const { return is_hybrid || has_kv_heads_of_layers(); }
};

// Of a family of engine/arch/registry.cpp.
TinyFamily TinyFamilyOf(const std::string& name);

}  // namespace forge::testing
