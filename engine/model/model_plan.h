#pragma once

#include <cstdint>
#include <vector>

#include "engine/arch/architecture.h"
#include "engine/model/arena_layout.h"
#include "engine/model/kv_plan.h"
#include "engine/model/load_options.h"
#include "kernels/api/device.h"
#include "kernels/api/top_logits.h"
#include "kernels/base/result.h"

namespace forge {

// The largest row group (Device::pack_row_multiple() rows) of a weight in the file: the loader's
// staging memory holds at least one whole.
inline constexpr uint64_t kMaxRowGroupBytes = uint64_t{64} << 20;

// Where one weight lies in the weights arena.
struct WeightPlacement {
  TensorSpec spec;
  uint32_t expert;          // whose matrix this is, where the weight is of experts
  WeightShape shape;        // vectors: one row of F32
  uint64_t offset_bytes;    // in the arena, a multiple of 64
  uint64_t size_bytes;      // in the arena, a multiple of 64
  DType file_dtype;         // vectors are converted
  uint64_t file_offset;     // of the first byte of its rows in the file
  uint64_t file_row_bytes;  // of a vector: of one block of elements
  uint64_t n_file_rows;     // of a vector: blocks of elements
  uint64_t file_bytes() const { return file_row_bytes * n_file_rows; }
};

// What the top_logits op gives of a row: kMaxTopLogits numbers with their columns, and a double.
inline constexpr uint64_t kTopLogitsBytes = uint64_t{kMaxTopLogits} * 8 + 8;

// The activations of one step, for max_tokens tokens, and the ops' workspaces.
struct ScratchPlan {
  uint32_t max_tokens =
      0;  // tokens of a step: max_sequences + prefill_chunk, of an encoder the latter
  uint32_t max_logit_rows = 0;    // tokens of a step whose logits are wanted
  uint32_t max_draft_tokens = 0;  // of a step, guesses of what comes next
  ScratchSlot hidden, normed, q, k, v, attention, gathered, logits;
  ScratchSlot top_logits;  // of each row of logits: kTopLogitsBytes
  ScratchSlot gate, up;    // of tokens, or of pairs of a token and an expert it uses; without a
                           // gate its place is that of what the activation makes, and no `up`
  // From q to logits: free once the layers of a step are computed, and then the place of the logits
  // of many rows at once. Takes no bytes of its own.
  ScratchSlot logit_area;
  // Inputs of layers; empty where there are none. Both: [n_tokens, n_layers, n_layer_input].
  ScratchSlot layer_inputs, layer_products;
  bool is_of_encoder = false;   // no logits, and the arrays of StepIndices that encoders have
  bool scales_queries = false;  // a position of the context is beyond the first of query_growth
  ScratchSlot indices;          // the arrays of StepIndices, each at a multiple of 64 bytes
  ScratchSlot matmul_workspace, attention_workspace;
  std::vector<ScratchSlot> rope_frequencies;  // of rope and, where it is there, window_rope
  // Experts; empty in a dense model. Pairs: a token and an expert it uses.
  ScratchSlot router_logits, expert_ids, expert_weights;
  ScratchSlot expert_out;  // [n_pairs, n_embd]
  ScratchSlot shared_gate, shared_out;
  ScratchSlot expert_workspace;  // for the heads of a latent too
  // Latent attention; empty where there is none. Beside these q, k and v hold queries, keys and
  // values as the cache has them.
  ScratchSlot query_latent, turned_key;
  ScratchSlot heads;     // [n_tokens, n_heads, ...], queries as projected, then what values give
  ScratchSlot head_ids;  // [n_tokens, n_heads], the index of each head, written once
  // Recurrent layers, and heads with gates, which have their projections in `heads` too; else
  // empty.
  bool is_recurrent = false;            // the arrays of StepIndices that recurrent layers have
  ScratchSlot mixed, convolved;         // [n_tokens, n_channels]
  ScratchSlot mixer_gate;               // [n_tokens, n_outputs], then what the layer gives
  ScratchSlot delta_beta, mixer_alpha;  // [n_tokens, heads of a recurrent layer]
  ScratchSlot delta_strengths;          // [n_tokens, 2 n_value_heads], of fused ones
  uint64_t total_bytes = 0;
};

// Every byte that a model takes on a device, computed from its header before anything is
// allocated; the loader allocates exactly this: one arena each for weights, KV and scratch. The
// frequency factors of rotary embedding are not among the weights: only their table is, in scratch.
struct ModelPlan {
  LoadOptions options;  // after defaults
  std::vector<WeightPlacement> weights;
  uint64_t weights_bytes = 0;
  uint64_t file_bytes = 0;  // of the file's tensor data that the weights are made of
  KvPlan kv;
  ScratchPlan scratch;
  uint64_t total_bytes() const { return weights_bytes + kv.total_bytes + scratch.total_bytes; }
};

// The longest context that a load may ask for: what the model was trained for, of an encoder no
// more than one step holds.
uint32_t LongestContext(const ModelConfig& config);

// Fills in the defaults; the prefill_chunk of an encoder is its context. kInvalidArgument (reason
// INVALID_REQUEST) naming field, value and range; kOutOfRange (reason CONTEXT_LENGTH_EXCEEDED) for
// a context longer than the model was trained for.
Result<LoadOptions> ResolveOptions(const LoadOptions& options, const ModelConfig& config);

// Plans `description`, which is DescribeModel(file), on `device`. Errors as ResolveOptions and
// PlanKv, kUnimplemented (reason ARCHITECTURE_UNSUPPORTED) for a format without kernels or rows
// too long for kMaxRowGroupBytes.
Result<ModelPlan> PlanModel(const ModelDescription& description, const GgufFile& file,
                            const LoadOptions& options, const Device& device);

}  // namespace forge
