#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace forge {

// How rotary embedding pairs the elements of a head.
enum class RopeLayout {
  kInterleaved,  // (0,1), (2,3), ...: llama
  kHalves,       // (0, n/2), (1, n/2 + 1), ...: NeoX; qwen2
};

enum class RopeScaling { kNone, kLinear, kYarn };

// Rotary position embedding. Frequencies: base^(-2i/dimension), then scaling.
struct RopeConfig {
  RopeLayout layout = RopeLayout::kInterleaved;
  uint32_t dimension =
      0;  // rotated elements of each head, even, <= head_dim; the rest is untouched
  double base = 10000.0;
  RopeScaling scaling = RopeScaling::kNone;
  double factor = 1.0;            // linear and YaRN: context is stretched by this
  uint32_t original_context = 0;  // YaRN: context of the original training
  double yarn_beta_fast = 32.0;
  double yarn_beta_slow = 1.0;
  double yarn_ext_factor = 1.0;
  double yarn_attn_factor = 1.0;
};

// Everything the one transformer forward needs to know about a model, read from its header and
// checked. Plain data; no field is 0 by omission.
struct ModelConfig {
  std::string architecture;  // "llama", "qwen2"
  std::string name;          // general.name, or empty
  uint32_t n_layers = 0;
  uint32_t n_embd = 0;
  uint32_t n_vocab = 0;
  uint32_t n_heads = 0;
  uint32_t n_kv_heads = 0;  // <= n_heads and divides it
  uint32_t head_dim = 0;    // of queries and keys
  uint32_t value_dim = 0;   // of values, per head
  uint32_t n_ff = 0;
  uint32_t n_context_train = 0;
  float rms_epsilon = 0.0f;
  RopeConfig rope;
  bool has_qkv_bias = false;      // blk.N.attn_{q,k,v}.bias
  bool has_output_bias = false;   // blk.N.attn_output.bias
  bool has_fused_qkv = false;     // blk.N.attn_qkv.weight in place of the three
  bool has_tied_output = false;   // token_embd.weight is the output head too
  bool has_rope_factors = false;  // rope_freqs.weight divides the frequencies

  uint32_t q_rows() const { return n_heads * head_dim; }
  uint32_t k_rows() const { return n_kv_heads * head_dim; }
  uint32_t v_rows() const { return n_kv_heads * value_dim; }
};

}  // namespace forge
