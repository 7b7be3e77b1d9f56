#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace forge {

// How rotary embedding pairs the elements of a head.
enum class RopeLayout {
  kInterleaved,  // (0,1), (2,3), ...: llama
  kHalves,       // (0, n/2), (1, n/2 + 1), ...: NeoX; qwen2
};

enum class RopeScaling {
  kNone,
  kLinear,
  kYarn,
  kLongRope,  // the model's own divisors, one set for long contexts and one for short: phi3
};

// Rotary position embedding. Frequencies: base^(-2i/dimension), then scaling.
struct RopeConfig {
  RopeLayout layout = RopeLayout::kInterleaved;
  uint32_t dimension =
      0;  // rotated elements of each head, even, <= head_dim; the rest is untouched
  double base = 10000.0;
  RopeScaling scaling = RopeScaling::kNone;
  double factor = 1.0;            // linear and YaRN: context is stretched by this
  uint32_t original_context = 0;  // YaRN, long RoPE: context of the original training
  double attn_factor = 1.0;       // YaRN, long RoPE: multiplies the rotated elements
  double yarn_beta_fast = 32.0;
  double yarn_beta_slow = 1.0;
  double yarn_ext_factor = 1.0;
  double yarn_log_multiplier = 0.0;  // YaRN: how much of its magnification attention is spared
};

// What the gate of a feed-forward net goes through before it multiplies; `Activation` of the ops.
enum class GateActivation { kSilu, kGelu, kClampedSwiglu, kReluSquared };

// How the router's logits become weights of the experts it chooses.
enum class ExpertGating {
  kSoftmaxOfAll,     // of all logits; the chosen keep their share of it
  kSoftmaxOfChosen,  // of the chosen logits
  kSigmoid,          // of each logit by itself
};

// What norms make of a row before its weights multiply it.
enum class NormKind {
  kRms,    // the row divided by its root mean square
  kLayer,  // the same of the row less its mean
};

// What the norms of queries and keys are taken over.
enum class QkNorm {
  kNone,
  kHead,        // each head by itself, all with the same weights
  kOwnHead,     // each head by itself, with weights of its own
  kProjection,  // the whole projection
};

// By what the tokens of a layer learn of those before them.
enum class Mixer { kNone, kAttention, kRecurrent };

// What a layer consists of: a mixer and then a feed-forward net, or one of the two. Each takes a
// norm of the hidden state and is added to it.
struct LayerParts {
  Mixer mixer = Mixer::kAttention;
  bool has_net = true;

  bool operator==(const LayerParts&) const = default;
};

// What the feed-forward net of a block takes.
enum class BlockOrder {
  kSequential,       // a norm of what attention has added to
  kParallel,         // a norm of what attention takes a norm of
  kParallelOneNorm,  // the same norm as attention
};

// Feed-forward nets of which each token uses a few of many.
struct ExpertConfig {
  uint32_t count = 0;           // 0: one dense net
  uint32_t used = 0;            // of each token, 1..count
  uint32_t n_ff = 0;            // of each expert
  uint32_t n_shared_ff = 0;     // of the expert that every token uses besides; 0: there is none
  bool has_shared_gate = true;  // what the shared expert gives passes a gate of its own
  ExpertGating gating = ExpertGating::kSoftmaxOfAll;
  bool normalizes_weights = false;  // the chosen weights are divided by their sum
  double weight_scale = 1.0;        // then multiplied by this
  bool has_bias = false;            // of the router and of every expert
  uint32_t n_groups = 1;            // of experts that follow one another; 1: none
  uint32_t n_groups_used = 1;       // of which each token's experts are
  bool has_selection_bias = false;  // added for choosing experts, and not to their weights
  bool has_scales = false;          // of each expert, by which its weight is multiplied last
  bool has_fused_gate_up = false;   // gate and up are the halves of blk.N.ffn_gate_up_exps.weight
  // A dense net in each layer too. It and the experts take norms of their own of the same sum, and
  // so does the router (kRouterNorm); the sum of what the two make, each through a norm, is added.
  bool has_dense_beside = false;
  uint32_t n_dense_layers = 0;  // the first layers, which have one dense net instead
  bool is_split = false;        // blk.N.ffn_gate.E.weight in place of blk.N.ffn_gate_exps.weight
};

// Multi-head latent attention (DeepSeek-V2, arXiv:2405.04434, section 2.1). The keys and values of
// all heads are products of one vector of each token, the latent, with matrices of each head; the
// turned elements of keys are the same for all heads.
//
// The engine keeps the latent and the turned key. The matrices of keys go over to the queries,
// those of values behind the attention, which so has one KV head: a key of it is the turned
// elements and then the latent, a value the latent of its key.
struct LatentConfig {
  uint32_t rank = 0;        // elements of the latent; 0: keys and values are projections
  uint32_t query_rank = 0;  // of what queries are products of; 0: the hidden state
  uint32_t plain_dim = 0;   // elements of each head's queries and keys before those that are turned
  uint32_t value_dim = 0;   // of each head's values
  bool has_fused_matrices = false;  // blk.N.attn_kv_b.weight in place of attn_{k,v}_b
};

// Recurrent layers that are a gated delta rule (DeltaRuleArgs; Qwen 3 Next): what they remember of
// a sequence has one size, however long it is.
struct DeltaNetConfig {
  uint32_t n_key_heads = 0;  // 0: the model has no such layer
  uint32_t n_value_heads = 0;
  uint32_t head_dim = 0;             // of keys and of values
  uint32_t n_taps = 0;               // of the convolution that queries, keys and values go through
  bool spreads_key_heads = false;    // as in DeltaRuleArgs
  bool has_fused_strengths = false;  // blk.N.ssm_ba.weight in place of ssm_{beta,alpha}

  uint32_t n_key_rows() const { return n_key_heads * head_dim; }
  uint32_t n_value_rows() const { return n_value_heads * head_dim; }
  // Queries, keys and values.
  uint32_t n_channels() const { return 2 * n_key_rows() + n_value_rows(); }
};

// Recurrent layers that are a convolution over few tokens, with gates before and behind it
// (CausalConvArgs; LFM 2).
struct ShortConvConfig {
  uint32_t n_taps = 0;  // 0: the model has no such layer
};

// Recurrent layers that are Mamba 2's state space (StateSpaceArgs; Granite 4 H).
struct StateSpaceConfig {
  uint32_t n_heads = 0;    // 0: the model has no such layer
  uint32_t n_groups = 0;   // of heads, divides them
  uint32_t head_dim = 0;   // of what the heads take and give
  uint32_t state_dim = 0;  // by which each of these is remembered
  uint32_t n_taps = 0;     // of the convolution that all of this goes through

  uint32_t n_rows() const { return n_heads * head_dim; }
  uint32_t n_channels() const { return n_rows() + 2 * n_groups * state_dim; }
};

// What a recurrent layer gives, what its convolution goes over, and what its heads remember: a
// matrix each.
struct RecurrentShape {
  uint32_t n_outputs = 0;  // rows of what the layer gives, before its output projection
  uint32_t n_channels = 0, n_taps = 0;
  uint32_t n_state_rows = 0, n_state_cols = 0;  // of all heads together
};

// The keys and values that a layer makes.
struct HeadShape {
  uint32_t n_kv_heads = 0;
  uint32_t head_dim = 0;   // of queries and keys
  uint32_t value_dim = 0;  // of values

  uint32_t k_rows() const { return n_kv_heads * head_dim; }
  uint32_t v_rows() const { return n_kv_heads * value_dim; }
};

// How queries grow with their position p: by 1 + scale * ln(floor(p / period) + 1).
struct QueryGrowth {
  double scale = 0.0;  // 0: not at all
  uint32_t period = 0;
};

// Everything the one transformer forward needs to know about a model, read from its header and
// checked. Plain data; no field is 0 by omission.
struct ModelConfig {
  std::string architecture;  // "llama", "qwen2"
  std::string name;          // general.name, or empty
  uint32_t n_layers = 0;
  std::vector<LayerParts> parts;   // [n_layers], or empty: attention and a net in every layer
  uint32_t n_left_out_layers = 0;  // after these in the file: they guess tokens further ahead
  uint32_t n_embd = 0;
  uint32_t n_vocab = 0;
  uint32_t n_heads = 0;
  uint32_t n_kv_heads = 0;                // <= n_heads and divides it
  uint32_t head_dim = 0;                  // of queries and keys
  uint32_t value_dim = 0;                 // of values, per head
  std::optional<HeadShape> window_heads;  // of the layers with a window, where it is another
  // The last layers, which attend to the keys and values of the last one before them of their kind,
  // with a window or without.
  uint32_t n_shared_kv_layers = 0;
  uint32_t n_ff = 0;                     // of a dense net, the longest
  std::vector<uint32_t> n_ff_of_layers;  // [n_layers], or empty: n_ff; of no net 0
  uint32_t n_context_train = 0;
  NormKind norm = NormKind::kRms;
  float rms_epsilon = 0.0f;      // of every norm, of whichever kind
  double embedding_scale = 1.0;  // multiplies the token's embedding
  double residual_scale = 1.0;   // multiplies what attention and feed-forward add
  double logit_scale = 1.0;      // multiplies the logits

  LatentConfig latent;
  DeltaNetConfig delta_net;
  ShortConvConfig short_conv;
  StateSpaceConfig state_space;
  RopeConfig rope;
  // Of the layers with a window, where it is another; then rope_freqs.weight is not for these.
  std::optional<RopeConfig> window_rope;
  double attention_scale = 0.0;     // multiplies query times key
  QueryGrowth query_growth;         // of rotated queries
  double attention_soft_cap = 0.0;  // 0: none
  double final_soft_cap = 0.0;      // of the logits; 0: none
  uint32_t window = 0;              // positions a windowed layer sees, itself included
  std::vector<bool> windowed;       // [n_layers], or empty: every layer sees all positions
  std::vector<bool> unrotated;      // [n_layers], or empty: every layer turns its heads

  BlockOrder order = BlockOrder::kSequential;
  GateActivation activation = GateActivation::kSilu;
  ExpertConfig experts;

  bool has_qkv_bias = false;     // blk.N.attn_{q,k,v}.bias
  bool has_output_bias = false;  // blk.N.attn_output.bias
  bool has_fused_qkv = false;    // blk.N.attn_qkv.weight in place of the three
  QkNorm qk_norm = QkNorm::kNone;
  bool norms_values = false;     // of each head, without weights
  bool keys_are_values = false;  // as projected, in layers without a window
  bool gates_heads = false;  // attn_q has the rows of each head's query, then those of a gate for
                             // what attention gives
  bool turns_before_norm = false;  // queries and keys; else those norms come first
  bool has_sinks = false;          // blk.N.attn_sinks.weight
  bool has_pre_norms = true;       // of what attention and feed-forward take
  bool has_norm_bias = false;      // of those, and of the output norm
  bool has_post_norms = false;     // of what attention and feed-forward add
  bool has_gate = true;            // of nets and experts; else down(activation(up(x)))
  bool has_ffn_bias = false;       // blk.N.ffn_{gate,up,down}.bias of a dense net
  bool has_fused_gate_up = false;  // gate and up are the halves of blk.N.ffn_up.weight
  bool has_logit_bias = false;     // output.bias
  bool has_tied_output = false;    // token_embd.weight is the output head too
  bool has_layer_scales = false;   // blk.N.layer_output_scale.weight, of all of `hidden`
  // Elements of the input that each layer has of each token; 0: there is none. A part of a row of
  // per_layer_token_embd.weight, and a product of the token's embedding.
  uint32_t n_layer_input = 0;
  bool has_rope_factors = false;       // rope_freqs.weight divides the frequencies
  bool has_long_rope_factors = false;  // rope_factors_{long,short}.weight do

  // Every token sees its whole text, those after it too (BERT, arXiv:1810.04805). What comes of a
  // text is the hidden state of each token: there is no output head, and nothing to generate with.
  bool is_encoder = false;
  uint32_t n_token_types = 0;       // rows of token_types.weight, the first is added to each token
  bool has_positions = false;       // position_embd.weight, a row of which is added to each token
  bool has_embedding_norm = false;  // token_embd_norm, of the sum of those
  bool has_sum_norms = false;       // of the sums of hidden and what attention and feed-forward add

  bool has_latent() const { return latent.rank != 0; }
  HeadShape HeadsOf(uint32_t layer) const {
    if (window_heads && HasWindow(layer)) return *window_heads;
    return {.n_kv_heads = n_kv_heads, .head_dim = head_dim, .value_dim = value_dim};
  }
  uint32_t QueryRowsOf(uint32_t layer) const { return n_heads * HeadsOf(layer).head_dim; }
  // The layer whose keys and values this one attends to; mostly itself.
  uint32_t KvLayerOf(uint32_t layer) const {
    uint32_t source = layer;
    if (HasOwnKv(layer)) return source;
    do --source;
    while (!HasOwnKv(source) || HasWindow(source) != HasWindow(layer));
    return source;
  }
  bool HasOwnKv(uint32_t layer) const { return layer < n_layers - n_shared_kv_layers; }
  // Whether values are a projection of their own.
  bool ProjectsValues(uint32_t layer) const { return !keys_are_values || HasWindow(layer); }
  // How many of queries, keys and values, in this order, the layer projects.
  int ProjectionsOf(uint32_t layer) const {
    return !HasOwnKv(layer) ? 1 : ProjectsValues(layer) ? 3 : 2;
  }
  // Of each head: elements of a query as it is projected, and of what the output projection takes.
  uint32_t ProjectedQueryDimOf(uint32_t layer) const {
    if (has_latent()) return latent.plain_dim + rope.dimension;
    return HeadsOf(layer).head_dim * (gates_heads ? 2 : 1);
  }
  uint32_t OutputDimOf(uint32_t layer) const {
    return has_latent() ? latent.value_dim : HeadsOf(layer).value_dim;
  }
  bool NormsHeads() const { return qk_norm == QkNorm::kHead || qk_norm == QkNorm::kOwnHead; }
  uint32_t FeedForwardOf(uint32_t layer) const {
    return n_ff_of_layers.empty() ? n_ff : n_ff_of_layers[layer];
  }
  bool HasLayerInputs() const { return n_layer_input != 0; }
  bool IsParallel() const { return order != BlockOrder::kSequential; }
  bool HasExperts(uint32_t layer) const {
    return experts.count != 0 && layer >= experts.n_dense_layers;
  }
  bool HasDenseNets() const { return !HasExperts(0) || experts.has_dense_beside; }
  LayerParts PartsOf(uint32_t layer) const { return parts.empty() ? LayerParts() : parts[layer]; }
  bool HasMixer(uint32_t layer) const { return PartsOf(layer).mixer != Mixer::kNone; }
  bool HasAttention(uint32_t layer) const { return PartsOf(layer).mixer == Mixer::kAttention; }
  bool IsRecurrent(uint32_t layer) const { return PartsOf(layer).mixer == Mixer::kRecurrent; }
  bool HasNet(uint32_t layer) const { return PartsOf(layer).has_net; }
  // Whether some layers are recurrent.
  bool IsHybrid() const {
    const auto is_recurrent = [](LayerParts of) { return of.mixer == Mixer::kRecurrent; };
    return std::any_of(parts.begin(), parts.end(), is_recurrent);
  }
  RecurrentShape recurrent_shape() const {
    if (short_conv.n_taps != 0)
      return {.n_outputs = n_embd, .n_channels = n_embd, .n_taps = short_conv.n_taps};
    if (state_space.n_heads != 0)
      return {.n_outputs = state_space.n_rows(),
              .n_channels = state_space.n_channels(),
              .n_taps = state_space.n_taps,
              .n_state_rows = state_space.n_heads * state_space.state_dim,
              .n_state_cols = state_space.head_dim};
    return {.n_outputs = delta_net.n_value_rows(),
            .n_channels = delta_net.n_channels(),
            .n_taps = delta_net.n_taps,
            .n_state_rows = delta_net.n_value_rows(),
            .n_state_cols = delta_net.head_dim};
  }
  bool HasWindow(uint32_t layer) const { return !windowed.empty() && windowed[layer]; }
  const RopeConfig& RopeOf(uint32_t layer) const {
    return window_rope && HasWindow(layer) ? *window_rope : rope;
  }
  // Elements of each head that the layer turns.
  uint32_t RotaryDimOf(uint32_t layer) const {
    return !unrotated.empty() && unrotated[layer] ? 0 : RopeOf(layer).dimension;
  }
};

}  // namespace forge
