#pragma once

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "engine/gguf/gguf_file.h"
#include "engine/memory/arena.h"
#include "engine/model/load_progress.h"
#include "engine/model/model_plan.h"
#include "engine/model/rope_frequencies.h"
#include "engine/text/chat_template.h"
#include "engine/text/tokenizer.h"
#include "kernels/api/recurrent_state.h"

namespace forge {

// The weights of one layer on the device; null where the model has none.
struct LayerWeights {
  const float* attn_norm = nullptr;       // [n_embd]
  const float* attn_norm_bias = nullptr;  // [n_embd]
  WeightView q, k, v, attn_output;  // with a latent k is what is turned of it, and there is no v
  WeightView query_latent, latent;
  const float* query_latent_norm = nullptr;  // [latent.query_rank]
  const float* latent_norm = nullptr;        // [latent.rank]
  ExpertWeights head_keys, head_values;      // of each head: [rank, plain_dim], [value_dim, rank]
  WeightView mixed, mixed_gate, mixer_gate, delta_beta, mixer_alpha, delta_strengths;
  const float* conv = nullptr;              // [n_channels, n_taps]
  const float* conv_bias = nullptr;         // [n_channels]
  const float* mixer_alpha_bias = nullptr;  // [heads of a recurrent layer], as the next two
  const float* mixer_decay = nullptr;
  const float* mixer_skip = nullptr;
  const float* mixer_norm = nullptr;  // [delta_net.head_dim], or [n_groups, n_rows / n_groups]
  const float* q_bias = nullptr;
  const float* k_bias = nullptr;
  const float* v_bias = nullptr;
  const float* q_norm = nullptr;            // [head_dim], of own heads [n_heads, head_dim], or
  const float* k_norm = nullptr;            // of all; of n_kv_heads
  const float* sinks = nullptr;             // [n_heads]
  const float* attn_output_bias = nullptr;  // [n_embd]
  const float* attn_post_norm = nullptr;    // [n_embd]
  const float* attn_sum_norm = nullptr;     // [n_embd], as its bias
  const float* attn_sum_norm_bias = nullptr;
  const float* ffn_norm = nullptr;       // [n_embd]; that of attention where both share one
  const float* ffn_norm_bias = nullptr;  // [n_embd]
  WeightView gate, up, down;
  const float* gate_bias = nullptr;      // [n_ff]
  const float* up_bias = nullptr;        // [n_ff]
  const float* down_bias = nullptr;      // [n_embd]
  const float* ffn_made_norm = nullptr;  // [n_embd], beside experts
  const float* ffn_post_norm = nullptr;  // [n_embd]
  const float* ffn_sum_norm = nullptr;   // [n_embd], as its bias
  const float* ffn_sum_norm_bias = nullptr;
  WeightView layer_input_gate;                   // [n_layer_input, n_embd]
  WeightView layer_input_output;                 // [n_embd, n_layer_input]
  const float* layer_input_post_norm = nullptr;  // [n_embd]
  const float* layer_scale = nullptr;            // [1]
  const float* router_norm = nullptr;     // [n_embd], where it is its own; as that of experts
  WeightView router;                      // [n_experts, n_embd]
  const float* router_bias = nullptr;     // [n_experts]
  const float* selection_bias = nullptr;  // [n_experts]
  const float* expert_norm = nullptr;
  const float* expert_made_norm = nullptr;  // [n_embd]
  const float* expert_scales = nullptr;     // [n_experts]
  ExpertWeights expert_gate, expert_up, expert_down;
  const float* expert_gate_bias = nullptr;  // [n_experts, experts.n_ff]
  const float* expert_up_bias = nullptr;    // [n_experts, experts.n_ff]
  const float* expert_down_bias = nullptr;  // [n_experts, n_embd]
  WeightView shared_router;                 // [1, n_embd]
  WeightView shared_gate, shared_up, shared_down;
};

struct ModelWeights {
  WeightView token_embedding;                  // [n_vocab, n_embd]
  WeightView layer_inputs;                     // [n_vocab, n_layers * n_layer_input]
  WeightView layer_input_projection;           // [n_layers * n_layer_input, n_embd]
  const float* layer_input_norm = nullptr;     // [n_layer_input]
  WeightView token_types, position_embedding;  // of encoders: [..., n_embd]
  const float* embedding_norm = nullptr;       // [n_embd], as its bias
  const float* embedding_norm_bias = nullptr;
  WeightView output;  // [n_vocab, n_embd]; the same as token_embedding when tied
  // Times logit_scale:
  const float* output_norm = nullptr;       // [n_embd]
  const float* output_norm_bias = nullptr;  // [n_embd], or null
  const float* output_bias = nullptr;       // [n_vocab], or null
  std::vector<LayerWeights> layers;
};

// A model resident on a device: its weights, KV cache and scratch in three arenas, its vocabulary
// in host memory. Nothing of its file stays open or mapped.
//
// Thread-compatible: one executor thread runs it. Lifetime: device and ledger must outlive it.
class Model {
 public:
  // Plans, admits the whole plan once, allocates the arenas and loads the weights. Blocks.
  // On any failure the ledger and the device are as they were. kCancelled if `progress` said so,
  // kAborted (reason MODEL_FILE_CHANGED) if the file was changed during the load, and the errors
  // of DescribeModel, Tokenizer::Create, PlanModel, Ledger::Admit and LoadWeights.
  static Result<std::unique_ptr<Model>> Load(const GgufFile& file, const LoadOptions& options,
                                             Ledger& ledger, const LoadProgress& progress);

  const ModelConfig& config() const { return config_; }
  const ModelPlan& plan() const { return plan_; }
  const ModelWeights& weights() const { return weights_; }
  const Tokenizer& tokenizer() const { return *tokenizer_; }
  // An error where the file has no template that we know.
  const Result<ChatTemplate>& chat_template() const { return chat_template_; }
  Device& device() const { return *device_; }

  // The rotary table of layer `layer`; its frequencies on the device are in RopeFrequencies.
  const RopeTable& rope_table(uint32_t layer) const { return rope_tables_[RopeIndex(layer)]; }
  const float* RopeFrequencies(uint32_t layer) const {
    return Scratch<float>(plan_.scratch.rope_frequencies[RopeIndex(layer)]);
  }

  // Layer `layer` of the KV cache. REQUIRES: layer < config().n_layers.
  KvLayerView KvLayer(uint32_t layer) const;
  // Slots of state: what the convolution of recurrent layer `layer` remembers, and what its heads
  // do, without the step's arrays. REQUIRES: the layer is recurrent.
  RecurrentState ConvState(uint32_t layer) const;
  RecurrentState HeadState(uint32_t layer) const;
  // The scratch buffer `slot` of plan().scratch.
  template <typename T>
  T* Scratch(const ScratchSlot& slot) const {
    return reinterpret_cast<T*>(scratch_base_ + slot.offset_bytes);
  }

 private:
  struct HostParts;  // all that is known before anything is allocated
  static Result<HostParts> Prepare(const GgufFile& file, const LoadOptions& options,
                                   const Device& device);
  Model(HostParts parts, Device& device, std::array<Arena, 3> arenas);
  // Fills the cache and the activations with zeros, and writes the frequencies.
  Status Initialize(ProgressReporter& progress);
  Status WriteHeadIds(Stream& stream);
  void BindWeights();
  RecurrentState StateAt(uint64_t offset_bytes) const;
  // Of rope_tables_ and plan_.scratch.rope_frequencies.
  size_t RopeIndex(uint32_t layer) const {
    return config_.window_rope && config_.HasWindow(layer) ? 1 : 0;
  }

  // Constant once loaded.
  ModelConfig config_;
  ModelPlan plan_;
  Device* device_;
  Arena weights_arena_, kv_arena_, scratch_arena_;
  std::byte* weights_base_;
  std::byte* kv_base_;
  std::byte* scratch_base_;
  std::vector<RopeTable> rope_tables_;  // of config_.rope and, where it is there, window_rope
  ModelWeights weights_;
  std::unique_ptr<Tokenizer> tokenizer_;
  Result<ChatTemplate> chat_template_;
};

}  // namespace forge
