#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "tests/support/gguf_builder.h"
#include "tests/support/tiny_vocabulary.h"

namespace forge::testing {

// Describes a complete model with random weights that is small enough for any test. Whatever a
// family always has, such as norms of queries, its models have without being asked.
struct TinyModelOptions {
  std::string architecture = "llama";  // any family of engine/arch/registry.cpp
  std::string name = "tiny";           // general.name
  uint32_t n_layers = 2;
  uint32_t n_embd = 64;
  uint32_t n_heads = 4;
  uint32_t n_kv_heads = 2;
  uint32_t head_dim = 0;  // 0: n_embd / n_heads, and no attention.key_length key
  uint32_t n_ff = 96;
  uint32_t n_context = 512;
  uint32_t rope_dimension = 0;  // 0: no rope.dimension_count key
  float rms_epsilon = 1e-5f;
  float logit_scale =
      1.5f;  // granite and granitemoe: divides the logits; cohere's: multiplies them
  bool has_fused_qkv = false;  // chatglm and phi3 always have it
  bool has_qkv_bias = false;   // chatglm, glm4, 4moe, gpt-oss, qwen2, 2moe and 2vl always have it
  bool has_ffn_bias = false;   // of a dense net; gptneox, phi2, starcoder2: all biases
  // Of each head; command-r, glm4moe and stablelm may have it, some families always do.
  bool has_qk_norm = false;
  // The net takes what attention takes: gptneox and stablelm may, some families always do.
  bool is_parallel = false;
  bool has_second_norm = false;  // falcon: of attention, so that the first is that of the net
  bool has_tied_output = false;
  // 0: no key, but for families that need a window, which get 24.
  uint32_t window = 0;
  // 0: dense, but for families that need experts, which get 4 of which a token uses 2.
  uint32_t n_experts = 0;
  uint32_t n_experts_used = 2;
  bool has_split_experts = false;  // a tensor for each; gemma4: gate and up apart
  // GGUF types, 0 for F32: of every matrix but the routers, and of the experts where it is another.
  // Quantised weights are random blocks, and no two shapes of one seed hold the same numbers.
  uint32_t matrix_type = 0;
  uint32_t expert_type = 0;
  bool is_lite = false;  // deepseek2, as V2 Lite: plain queries, a softmax as router
  // gemma4, as 31B: no inputs of layers, values that are keys; with experts, as 26B-A4B.
  bool is_large = false;
  bool has_fused_latent = false;  // deepseek2: older files' matrices of the heads
  bool has_long_rope = false;     // llama, phi3: divisors, the long ones beyond a context of 64
  TinyVocabulary vocabulary = TinyVocabulary::kBpe;
  bool has_chat_template = true;  // ChatML, or
  std::string_view chat_template = {};
  uint64_t seed = 1;  // the same seed gives the same file, byte for byte
};

// The model as a builder, to which a test may add keys or tensors of its own. Float32 weights are
// uniform with a deviation that keeps activations near 1. Fused and separate QKV, and merged and
// split experts, of one seed hold the same numbers.
GgufBuilder MakeTinyModel(const TinyModelOptions& options);

// MakeTinyModel, written to `path`.
void WriteTinyModel(const std::filesystem::path& path, const TinyModelOptions& options = {});

}  // namespace forge::testing
