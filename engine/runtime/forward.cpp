#include "engine/runtime/forward.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "kernels/base/check.h"

namespace forge {

Result<std::unique_ptr<Forward>> Forward::Create(const Model& model) {
  FORGE_ASSIGN_OR_RETURN(std::unique_ptr<Stream> stream, model.device().CreateStream());
  return std::unique_ptr<Forward>(new Forward(model, std::move(stream)));
}

Forward::Forward(const Model& model, std::unique_ptr<Stream> stream)
    : model_(model), ops_(model.device().ops()), stream_(std::move(stream)) {}

Result<StepLogits> Forward::Run(const StepBatch& batch) {
  Flatten(batch);
  const Status enqueued = Enqueue();
  // Also after an error: the stream may still read the host arrays.
  FORGE_TRY(stream_->Synchronize());
  FORGE_TRY(enqueued);
  return StepLogits{logits_, model_.config().n_vocab};
}

Status Forward::Enqueue() {
  FORGE_TRY(CopyBatchIn());
  FORGE_TRY(Embed());
  for (uint32_t layer = 0; layer < model_.config().n_layers; ++layer) {
    FORGE_TRY(Attend(layer));
    FORGE_TRY(FeedForward(layer));
  }
  return ComputeLogits();
}

void Forward::Flatten(const StepBatch& batch) {
  host_ = {};
  for (const StepSequence& sequence : batch.sequences)
    host_.max_blocks = std::max(host_.max_blocks, static_cast<int>(sequence.blocks.size()));
  for (size_t s = 0; s < batch.sequences.size(); ++s) {
    const StepSequence& sequence = batch.sequences[s];
    host_.first_token.push_back(static_cast<int32_t>(host_.tokens.size()));
    for (size_t i = 0; i < sequence.tokens.size(); ++i) {
      host_.tokens.push_back(sequence.tokens[i]);
      host_.positions.push_back(static_cast<int32_t>(sequence.first_position + i));
      host_.token_sequence.push_back(static_cast<int32_t>(s));
    }
    if (sequence.wants_logits)
      host_.logit_rows.push_back(static_cast<int32_t>(host_.tokens.size()) - 1);
    host_.block_tables.insert(host_.block_tables.end(), sequence.blocks.begin(),
                              sequence.blocks.end());
    host_.block_tables.resize((s + 1) * static_cast<size_t>(host_.max_blocks), 0);
  }
  host_.first_token.push_back(static_cast<int32_t>(host_.tokens.size()));
}

Status Forward::CopyBatchIn() {
  const ScratchPlan& scratch = model_.plan().scratch;
  FORGE_CHECK(host_.tokens.size() <= scratch.max_tokens,
              std::to_string(host_.tokens.size()) + " tokens in a step");
  FORGE_CHECK(host_.logit_rows.size() <= scratch.max_logit_rows,
              std::to_string(host_.logit_rows.size()) + " rows of logits in a step");
  FORGE_TRY(CopyIn(scratch.tokens, host_.tokens));
  FORGE_TRY(CopyIn(scratch.positions, host_.positions));
  FORGE_TRY(CopyIn(scratch.token_sequence, host_.token_sequence));
  FORGE_TRY(CopyIn(scratch.first_token, host_.first_token));
  FORGE_TRY(CopyIn(scratch.block_tables, host_.block_tables));
  FORGE_TRY(CopyIn(scratch.logit_rows, host_.logit_rows));
  batch_ = {.n_tokens = static_cast<int>(host_.tokens.size()),
            .n_sequences = static_cast<int>(host_.first_token.size()) - 1,
            .positions = model_.Scratch<int32_t>(scratch.positions),
            .token_sequence = model_.Scratch<int32_t>(scratch.token_sequence),
            .first_token = model_.Scratch<int32_t>(scratch.first_token),
            .block_tables = model_.Scratch<int32_t>(scratch.block_tables),
            .max_blocks = host_.max_blocks};
  return Status();
}

Status Forward::CopyIn(const ScratchSlot& slot, const std::vector<int32_t>& values) {
  if (values.empty()) return Status();
  const uint64_t n_bytes = values.size() * sizeof(int32_t);
  FORGE_CHECK(n_bytes <= slot.size_bytes, std::to_string(n_bytes) + " bytes of batch indices");
  return model_.device().CopyIn(model_.Scratch<int32_t>(slot), values.data(), n_bytes, *stream_);
}

Status Forward::Embed() {
  const ScratchPlan& scratch = model_.plan().scratch;
  return ops_.embed({.table = model_.weights().token_embedding,
                     .tokens = model_.Scratch<int32_t>(scratch.tokens),
                     .y = model_.Scratch<float>(scratch.hidden),
                     .n_tokens = batch_.n_tokens},
                    *stream_);
}

Status Forward::Attend(uint32_t layer) {
  const ModelConfig& config = model_.config();
  const ScratchPlan& scratch = model_.plan().scratch;
  const LayerWeights& weights = model_.weights().layers[layer];
  const KvLayerView cache = model_.KvLayer(layer);
  auto* hidden = model_.Scratch<float>(scratch.hidden);
  auto* normed = model_.Scratch<float>(scratch.normed);
  auto* q = model_.Scratch<float>(scratch.q);
  auto* k = model_.Scratch<float>(scratch.k);
  auto* v = model_.Scratch<float>(scratch.v);
  auto* attention = model_.Scratch<float>(scratch.attention);
  FORGE_TRY(Norm(weights.attn_norm, hidden, normed, batch_.n_tokens));
  FORGE_TRY(ops_.matmul({.x = normed,
                         .n_tokens = batch_.n_tokens,
                         .n_targets = 3,
                         .targets = {{{.weight = weights.q, .bias = weights.q_bias, .y = q},
                                      {.weight = weights.k, .bias = weights.k_bias, .y = k},
                                      {.weight = weights.v, .bias = weights.v_bias, .y = v}}},
                         .workspace = MatmulWorkspace()},
                        *stream_));
  FORGE_TRY(Rope(q, config.n_heads));
  FORGE_TRY(Rope(k, config.n_kv_heads));
  FORGE_TRY(ops_.kv_append({.batch = batch_, .cache = cache, .keys = k, .values = v}, *stream_));
  FORGE_TRY(ops_.attention(
      {.batch = batch_,
       .cache = cache,
       .q = q,
       .y = attention,
       .n_heads = static_cast<int>(config.n_heads),
       .scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(config.head_dim))),
       .workspace = {model_.Scratch<void>(scratch.attention_workspace),
                     scratch.attention_workspace.size_bytes}},
      *stream_));
  return ops_.matmul({.x = attention,
                      .n_tokens = batch_.n_tokens,
                      .n_targets = 1,
                      .targets = {{{.weight = weights.attn_output,
                                    .bias = weights.attn_output_bias,
                                    .residual = hidden,
                                    .y = hidden}}},
                      .workspace = MatmulWorkspace()},
                     *stream_);
}

Status Forward::FeedForward(uint32_t layer) {
  const ScratchPlan& scratch = model_.plan().scratch;
  const LayerWeights& weights = model_.weights().layers[layer];
  auto* hidden = model_.Scratch<float>(scratch.hidden);
  auto* normed = model_.Scratch<float>(scratch.normed);
  auto* gate = model_.Scratch<float>(scratch.gate);
  auto* up = model_.Scratch<float>(scratch.up);
  FORGE_TRY(Norm(weights.ffn_norm, hidden, normed, batch_.n_tokens));
  FORGE_TRY(ops_.matmul(
      {.x = normed,
       .n_tokens = batch_.n_tokens,
       .n_targets = 2,
       .targets = {{{.weight = weights.gate, .y = gate}, {.weight = weights.up, .y = up}}},
       .workspace = MatmulWorkspace()},
      *stream_));
  const int64_t n_values = int64_t{batch_.n_tokens} * model_.config().n_ff;
  FORGE_TRY(ops_.silu_mul({.gate = gate, .up = up, .y = gate, .n = n_values}, *stream_));
  return ops_.matmul({.x = gate,
                      .n_tokens = batch_.n_tokens,
                      .n_targets = 1,
                      .targets = {{{.weight = weights.down, .residual = hidden, .y = hidden}}},
                      .workspace = MatmulWorkspace()},
                     *stream_);
}

Status Forward::ComputeLogits() {
  const ModelConfig& config = model_.config();
  const ScratchPlan& scratch = model_.plan().scratch;
  const int n_rows = static_cast<int>(host_.logit_rows.size());
  logits_.resize(host_.logit_rows.size() * config.n_vocab);
  if (n_rows == 0) return Status();
  auto* gathered = model_.Scratch<float>(scratch.gathered);
  auto* logits = model_.Scratch<float>(scratch.logits);
  FORGE_TRY(ops_.gather_rows({.x = model_.Scratch<float>(scratch.hidden),
                              .rows = model_.Scratch<int32_t>(scratch.logit_rows),
                              .y = gathered,
                              .n_x_rows = batch_.n_tokens,
                              .n_rows = n_rows,
                              .dim = static_cast<int>(config.n_embd)},
                             *stream_));
  FORGE_TRY(Norm(model_.weights().output_norm, gathered, gathered, n_rows));
  FORGE_TRY(ops_.matmul({.x = gathered,
                         .n_tokens = n_rows,
                         .n_targets = 1,
                         .targets = {{{.weight = model_.weights().output, .y = logits}}},
                         .workspace = MatmulWorkspace()},
                        *stream_));
  return model_.device().CopyOut(logits_.data(), logits, logits_.size() * sizeof(float), *stream_);
}

Status Forward::Norm(const float* weight, const float* x, float* y, int n_rows) {
  const ModelConfig& config = model_.config();
  return ops_.rms_norm({.x = x,
                        .weight = weight,
                        .y = y,
                        .n_rows = n_rows,
                        .dim = static_cast<int>(config.n_embd),
                        .epsilon = config.rms_epsilon},
                       *stream_);
}

Status Forward::Rope(float* x, uint32_t n_heads) {
  const ModelConfig& config = model_.config();
  return ops_.rope({.x = x,
                    .positions = batch_.positions,
                    .frequencies = model_.Scratch<float>(model_.plan().scratch.rope_frequencies),
                    .n_tokens = batch_.n_tokens,
                    .n_heads = static_cast<int>(n_heads),
                    .head_dim = static_cast<int>(config.head_dim),
                    .rotary_dim = static_cast<int>(config.rope.dimension),
                    .halves = config.rope.layout == RopeLayout::kHalves,
                    .scale = model_.rope_table().scale},
                   *stream_);
}

Workspace Forward::MatmulWorkspace() const {
  const ScratchSlot& slot = model_.plan().scratch.matmul_workspace;
  return {model_.Scratch<void>(slot), slot.size_bytes};
}

}  // namespace forge
