#include "engine/runtime/forward.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "engine/runtime/attention_block.h"
#include "engine/runtime/feed_forward_block.h"
#include "engine/runtime/host_memory.h"
#include "engine/runtime/layer_inputs.h"
#include "kernels/base/check.h"

namespace forge {
namespace {

constexpr std::string_view kToCompute = "to compute a step";

// hidden[t] += row rows[t] of the table, which may be none.
Status AddRows(const StepContext& step, const WeightView& table, const int32_t* rows) {
  if (table.data == nullptr) return Status();
  const ScratchPlan& scratch = step.scratch();
  FORGE_TRY(step.ops().embed({.table = table,
                              .tokens = rows,
                              .y = step.Floats(scratch.normed),
                              .n_tokens = step.n_tokens()},
                             step.stream()));
  return step.ops().combine_experts({.x = step.Floats(scratch.normed),
                                     .weights = step.indices().ones,
                                     .residual = step.Floats(scratch.hidden),
                                     .y = step.Floats(scratch.hidden),
                                     .n_tokens = step.n_tokens(),
                                     .n_used = 1,
                                     .dim = static_cast<int>(step.config().n_embd)},
                                    step.stream());
}

// What encoders add to the embeddings of tokens, and the norm of the sum.
Status FinishEmbedding(const StepContext& step) {
  const ModelWeights& weights = step.model().weights();
  const int32_t* const positions = step.indices().batches.front().positions;
  FORGE_TRY(AddRows(step, weights.token_types, step.indices().token_types));
  FORGE_TRY(AddRows(step, weights.position_embedding, positions));
  return step.NormSum(weights.embedding_norm, weights.embedding_norm_bias);
}

// The net takes `hidden` before attention adds to it.
Status RunParallelBlock(const StepContext& step, uint32_t layer) {
  FORGE_TRY(RunHeads(step, layer));
  FORGE_TRY(RunFirstProducts(step, layer));
  FORGE_TRY(AddAttention(step, layer));
  return AddLastProduct(step, layer);
}

Status RunBlock(const StepContext& step, uint32_t layer) {
  const ModelConfig& config = step.config();
  if (config.IsParallel()) return RunParallelBlock(step, layer);
  if (config.HasMixer(layer)) {
    FORGE_TRY(RunHeads(step, layer));
    FORGE_TRY(AddAttention(step, layer));
  }
  if (config.HasNet(layer)) FORGE_TRY(RunFeedForward(step, layer));
  return AddLayerInput(step, layer);
}

}  // namespace

Result<std::unique_ptr<Forward>> Forward::Create(const Model& model) {
  FORGE_ASSIGN_OR_RETURN(std::unique_ptr<Stream> stream, model.device().CreateStream());
  return std::unique_ptr<Forward>(new Forward(model, std::move(stream)));
}

Forward::Forward(const Model& model, std::unique_ptr<Stream> stream)
    : model_(model), ops_(model.device().ops()), stream_(std::move(stream)), outputs_(model) {}

Status Forward::Run(const StepBatch& batch, const RowReader& read_row) {
  Flatten(batch);
  const Status computed =
      WithHostMemory(kToCompute, {}, [&] { return ComputeStep(batch, read_row); });
  // Also after an error: the stream may still read the host arrays.
  FORGE_TRY(stream_->Synchronize());
  return computed;
}

Status Forward::ComputeStep(const StepBatch& batch, const RowReader& read_row) {
  const StepContext step(model_, *stream_, PlaceIndices());
  FORGE_TRY(CopyIndicesIn());
  // The launches of a longer step take less time than what they launch, and are others each time.
  constexpr size_t kMostGroupedTokens = 32;
  const bool is_short = host_.tokens.size() <= kMostGroupedTokens;
  if (is_short) stream_->BeginGroup();
  const Status enqueued = WithHostMemory(kToCompute, {}, [&] { return RunLayers(step, batch); });
  const Status given = is_short ? stream_->EndGroup() : Status();
  FORGE_TRY(enqueued);
  FORGE_TRY(given);
  return outputs_.Read(step, batch, host_.first_token, read_row);
}

Status Forward::RunLayers(const StepContext& step, const StepBatch& batch) {
  FORGE_TRY(Embed(step));
  for (uint32_t layer = 0; layer < model_.config().n_layers; ++layer) {
    if (batch.goes_on && !batch.goes_on()) return Cancelled("the step was given up");
    FORGE_TRY(RunBlock(step, layer));
  }
  return Status();
}

void Forward::Flatten(const StepBatch& batch) {
  host_ = {};
  for (size_t s = 0; s < batch.sequences.size(); ++s) {
    const StepSequence& sequence = batch.sequences[s];
    host_.first_token.push_back(static_cast<int32_t>(host_.tokens.size()));
    if (static_cast<size_t>(host_.n_decodes) == s && sequence.tokens.size() == 1) ++host_.n_decodes;
    FORGE_CHECK(!sequence.is_generated || host_.n_prompt_tokens == 0, "prompts come last");
    if (!sequence.is_generated) host_.n_prompt_tokens += static_cast<int>(sequence.tokens.size());
    for (size_t i = 0; i < sequence.tokens.size(); ++i) {
      host_.tokens.push_back(sequence.tokens[i]);
      host_.positions.push_back(static_cast<int32_t>(sequence.first_position + i));
      host_.token_sequence.push_back(static_cast<int32_t>(s));
    }
    const auto end = static_cast<int32_t>(host_.tokens.size());
    for (auto row = end - static_cast<int32_t>(CountLastRows(sequence)); row < end; ++row)
      host_.logit_rows.push_back(row);
  }
  host_.first_token.push_back(static_cast<int32_t>(host_.tokens.size()));
  FlattenBlocks(batch);
  if (model_.plan().scratch.scales_queries) ScaleQueries();
  if (model_.config().is_encoder) FlattenTexts(batch);
  if (model_.plan().scratch.is_recurrent) FlattenStates(batch);
}

void Forward::FlattenStates(const StepBatch& batch) {
  for (const StepSequence& sequence : batch.sequences) {
    FORGE_CHECK(sequence.state.to >= 0, "a sequence has room for its state");
    host_.state_from.push_back(sequence.state.from);
    host_.state_to.push_back(sequence.state.to);
    host_.state_kept_after.push_back(static_cast<int32_t>(sequence.state.kept_after));
    host_.state_kept_to.push_back(sequence.state.kept_to);
  }
}

// Each token sees up to the last of its sequence, which is its text.
void Forward::FlattenTexts(const StepBatch& batch) {
  for (const StepSequence& sequence : batch.sequences) {
    FORGE_CHECK(sequence.first_position == 0, "an encoder computes whole texts");
    host_.last_seen.insert(host_.last_seen.end(), sequence.tokens.size(),
                           static_cast<int32_t>(sequence.tokens.size()) - 1);
  }
  host_.token_types.assign(host_.tokens.size(), 0);
  host_.ones.assign(host_.tokens.size(), 1.0f);
}

void Forward::ScaleQueries() {
  const QueryGrowth& growth = model_.config().query_growth;
  for (const int32_t position : host_.positions) {
    const double n_periods = std::floor(static_cast<double>(position) / growth.period);
    host_.query_scales.push_back(
        static_cast<float>(1.0 + growth.scale * std::log(n_periods + 1.0)));
  }
}

// A ring has one length in all sequences, though the table of a short one has not grown to it: the
// position decides on the slot by that length. Tables of all positions are cut to the longest,
// rounded up, so that a block more seldom makes a step's launches others than those of the last.
void Forward::FlattenBlocks(const StepBatch& batch) {
  const std::vector<KvGroup>& groups = model_.plan().kv.groups;
  for (size_t group = 0; group < groups.size(); ++group) {
    constexpr size_t kRounding = 8;
    const size_t most_blocks = groups[group].blocks_per_sequence;
    size_t longest = groups[group].window != 0 ? most_blocks : 0;
    for (const StepSequence& sequence : batch.sequences)
      longest = std::max(longest, sequence.blocks[group].size());
    const size_t rounded = (longest + kRounding - 1) / kRounding * kRounding;
    const size_t max_blocks = std::max(longest, std::min(rounded, most_blocks));
    BlockTables tables = {.values = {}, .max_blocks = static_cast<int>(max_blocks)};
    for (const StepSequence& sequence : batch.sequences) {
      const KvBlockTable& table = sequence.blocks[group];
      tables.values.insert(tables.values.end(), table.begin(), table.end());
      tables.values.resize(tables.values.size() + max_blocks - table.size(), 0);
    }
    host_.block_tables.push_back(std::move(tables));
  }
}

// The block tables come last: their size changes from step to step, and launches that come again
// (Stream::BeginGroup) find the other arrays where they were.
StepIndices Forward::PlaceIndices() {
  StepIndices indices;
  indices.tokens = Place(host_.tokens);
  const RaggedBatch batch = {.n_tokens = static_cast<int>(host_.tokens.size()),
                             .n_sequences = static_cast<int>(host_.first_token.size()) - 1,
                             .positions = Place(host_.positions),
                             .token_sequence = Place(host_.token_sequence),
                             .first_token = Place(host_.first_token),
                             .n_decodes = host_.n_decodes,
                             .n_prompt_tokens = host_.n_prompt_tokens};
  indices.logit_rows = Place(host_.logit_rows);
  if (!host_.query_scales.empty()) indices.query_scales = Place(host_.query_scales);
  if (!host_.last_seen.empty()) {
    indices.last_seen = Place(host_.last_seen);
    indices.token_types = Place(host_.token_types);
    indices.ones = Place(host_.ones);
  }
  if (!host_.state_to.empty()) {
    indices.state_from = Place(host_.state_from);
    indices.state_to = Place(host_.state_to);
    indices.state_kept_after = Place(host_.state_kept_after);
    indices.state_kept_to = Place(host_.state_kept_to);
  }
  for (const BlockTables& tables : host_.block_tables) {
    indices.batches.push_back(batch);
    indices.batches.back().block_tables = Place(tables.values);
    indices.batches.back().max_blocks = tables.max_blocks;
  }
  return indices;
}

// Where the values will be once CopyIndicesIn has run.
template <typename T>
const T* Forward::Place(const std::vector<T>& values) {
  constexpr size_t kAlignment = ArenaLayout::kAlignment;
  const size_t first_byte = host_.placed.size();
  const auto bytes = std::as_bytes(std::span(values));
  host_.placed.insert(host_.placed.end(), bytes.begin(), bytes.end());
  host_.placed.resize((host_.placed.size() + kAlignment - 1) / kAlignment * kAlignment);
  return model_.Scratch<T>(model_.plan().scratch.indices) + first_byte / sizeof(T);
}

Status Forward::CopyIndicesIn() {
  const ScratchPlan& scratch = model_.plan().scratch;
  FORGE_CHECK(host_.tokens.size() <= scratch.max_tokens,
              std::to_string(host_.tokens.size()) + " tokens in a step");
  FORGE_CHECK(host_.logit_rows.size() <= scratch.max_logit_rows,
              std::to_string(host_.logit_rows.size()) + " rows of logits in a step");
  const uint64_t n_bytes = host_.placed.size();
  FORGE_CHECK(n_bytes <= scratch.indices.size_bytes,
              std::to_string(n_bytes) + " bytes of batch indices");
  return model_.device().CopyIn(model_.Scratch<std::byte>(scratch.indices), host_.placed.data(),
                                n_bytes, *stream_);
}

Status Forward::Embed(const StepContext& step) {
  const ModelConfig& config = model_.config();
  const ScratchPlan& scratch = model_.plan().scratch;
  FORGE_TRY(
      ops_.embed({.table = model_.weights().token_embedding,
                  .tokens = step.indices().tokens,
                  .y = model_.Scratch<float>(scratch.hidden),
                  .n_tokens = step.n_tokens(),
                  .scale = static_cast<float>(config.embedding_scale / config.residual_scale)},
                 *stream_));
  return config.is_encoder ? FinishEmbedding(step) : MakeLayerInputs(step);
}

}  // namespace forge
