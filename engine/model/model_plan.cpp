#include "engine/model/model_plan.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "engine/gguf/gguf_fault.h"
#include "kernels/base/check.h"
#include "kernels/base/checked_math.h"
#include "kernels/formats/formats.h"

namespace forge {
namespace {

constexpr uint32_t kDefaultContext = 4096;
constexpr uint32_t kMaxSequences = 256;
constexpr uint32_t kMaxPrefillChunk = 4096;

Status CheckRange(std::string_view field, uint32_t value, uint32_t max) {
  if (value >= 1 && value <= max) return Status();
  return InvalidArgument("load option " + std::string(field) + " must be in 1.." +
                         std::to_string(max) + ": " + std::to_string(value))
      .WithReason("INVALID_REQUEST")
      .WithDetail("field", field)
      .WithDetail("value", uint64_t{value});
}

// Where the rows of `spec`, of its slice `slice`, lie in the file. Sizes cannot overflow: the
// tensor lies in the file. A vector is placed with all its slices.
WeightPlacement LocateInFile(const TensorSpec& spec, uint32_t slice, const GgufTensor& tensor,
                             const FormatInfo& format) {
  WeightPlacement placement = {};
  placement.spec = spec;
  placement.expert = spec.expert + slice;
  placement.file_dtype = tensor.dtype;
  // A vector is cut between blocks of elements, so that a long one is read in slices too.
  const uint64_t row_elements = spec.is_vector ? format.block_elements : spec.n_cols;
  placement.file_row_bytes = row_elements / format.block_elements * format.block_bytes;
  placement.n_file_rows = spec.is_vector ? spec.n_cols * spec.n_slices / row_elements : spec.n_rows;
  // A slice of the file's tensor may hold the rows of other weights too.
  const uint64_t slice_rows = spec.slice_stride != 0 ? spec.slice_stride : tensor.shape[1];
  const uint64_t first_file_row =
      spec.is_vector ? spec.first_row / row_elements : spec.first_row + slice * slice_rows;
  placement.file_offset = tensor.offset_bytes + first_file_row * placement.file_row_bytes;
  FORGE_CHECK(
      first_file_row * placement.file_row_bytes + placement.file_bytes() <= tensor.size_bytes,
      "the rows of a described weight lie in its tensor");
  return placement;
}

// A matrix that is transposed is read as a whole.
Status CheckRowGroup(const WeightPlacement& placement, int64_t row_multiple) {
  if (placement.spec.is_transposed) row_multiple = static_cast<int64_t>(placement.n_file_rows);
  const std::optional<uint64_t> group_bytes =
      CheckedMul(placement.file_row_bytes, static_cast<uint64_t>(row_multiple));
  if (group_bytes && *group_bytes <= kMaxRowGroupBytes) return Status();
  return UnsupportedField("a row of a tensor takes at most " +
                              std::to_string(kMaxRowGroupBytes / row_multiple) + " bytes",
                          {EscapeText(placement.spec.file_tensor) + " (bytes of a row)",
                           std::to_string(placement.file_row_bytes), placement.file_offset});
}

// A matrix on the device. What is transposed cannot stay in blocks of a row.
WeightShape PlacedShape(const TensorSpec& spec, DType file_dtype) {
  const auto n_rows = static_cast<int64_t>(spec.n_rows), n_cols = static_cast<int64_t>(spec.n_cols);
  if (!spec.is_transposed) return {file_dtype, n_rows, n_cols};
  const bool is_kept = file_dtype == F32Format::kDType || file_dtype == Bf16Format::kDType;
  return {is_kept ? file_dtype : F16Format::kDType, n_cols, n_rows};
}

Result<WeightPlacement> PlaceWeight(const TensorSpec& spec, uint32_t slice, const GgufFile& file,
                                    const Device& device, ArenaLayout& layout) {
  const GgufTensor* const tensor = file.FindTensor(spec.file_tensor);
  FORGE_CHECK(tensor != nullptr, "a described weight has a tensor: " + spec.file_tensor);
  const FormatInfo* const format = FindFormat(tensor->dtype);
  FORGE_CHECK(format != nullptr, "a described weight has a known format: " + spec.file_tensor);
  WeightPlacement placement = LocateInFile(spec, slice, *tensor, *format);
  FORGE_TRY(CheckRowGroup(placement, device.pack_row_multiple()));
  ScratchSlot slot;
  if (spec.is_vector) {
    placement.shape = {F32Format::kDType, 1, static_cast<int64_t>(spec.n_cols * spec.n_slices)};
    slot = layout.AddWords(spec.n_cols, spec.n_slices);
  } else {
    placement.shape = PlacedShape(spec, tensor->dtype);
    Result<uint64_t> packed_bytes = device.PackedWeightBytes(placement.shape);
    if (!packed_bytes.ok())
      return packed_bytes.status().WithContext("tensor " + EscapeText(spec.file_tensor));
    slot = layout.Add(*packed_bytes);
  }
  placement.offset_bytes = slot.offset_bytes;
  placement.size_bytes = slot.size_bytes;
  return placement;
}

// Only the table that is made of them goes to the device.
bool IsRopeFactors(WeightRole role) {
  return role == WeightRole::kRopeFactors || role == WeightRole::kRopeFactorsLong ||
         role == WeightRole::kRopeFactorsShort;
}

Status PlanWeights(const ModelDescription& description, const GgufFile& file, const Device& device,
                   ModelPlan& plan) {
  ArenaLayout layout;
  for (const TensorSpec& spec : description.tensors) {
    if (IsRopeFactors(spec.role)) continue;
    const uint32_t n_matrices = spec.is_vector ? 1 : spec.n_slices;
    for (uint32_t slice = 0; slice < n_matrices; ++slice) {
      FORGE_ASSIGN_OR_RETURN(WeightPlacement placement,
                             PlaceWeight(spec, slice, file, device, layout));
      plan.file_bytes += placement.file_bytes();
      plan.weights.push_back(std::move(placement));
    }
  }
  if (!layout.total()) return TooLargeToPlan("the model's weights");
  plan.weights_bytes = *layout.total();
  return Status();
}

// Of the weights that are multiplied: the rows of kLayerInputs, far longer, are only looked up.
int64_t LongestRow(const std::vector<WeightPlacement>& weights) {
  int64_t longest = 0;
  for (const WeightPlacement& weight : weights)
    if (!weight.spec.is_vector && weight.spec.role != WeightRole::kLayerInputs)
      longest = std::max(longest, weight.shape.n_cols);
  return longest;
}

// The most that any layer has of what `of_layer` says.
template <typename OfLayer>
uint64_t MostOfLayers(const ModelConfig& config, const OfLayer& of_layer) {
  uint64_t most = 0;
  for (uint32_t layer = 0; layer < config.n_layers; ++layer)
    most = std::max<uint64_t>(most, of_layer(layer));
  return most;
}

// Values of the gate, and of what it multiplies, that one token needs at a time.
uint64_t WidestGate(const ModelConfig& config) {
  const ExpertConfig& experts = config.experts;
  const uint64_t of_dense = config.HasDenseNets() ? config.n_ff : 0;
  return std::max({of_dense, uint64_t{experts.used} * experts.n_ff, uint64_t{experts.n_shared_ff},
                   uint64_t{config.n_layer_input}});
}

void PlanExpertScratch(const ModelConfig& config, ScratchPlan& scratch, ArenaLayout& layout) {
  const ExpertConfig& experts = config.experts;
  const uint64_t n_tokens = scratch.max_tokens;
  scratch.router_logits = layout.AddWords(n_tokens, experts.count);
  scratch.expert_ids = layout.AddWords(n_tokens, experts.used);
  scratch.expert_weights = layout.AddWords(n_tokens, experts.used);
  scratch.expert_out =
      layout.Add(CheckedSum().AddProduct(n_tokens, experts.used, config.n_embd, 4));
  if (experts.n_shared_ff != 0 && experts.has_shared_gate)
    scratch.shared_gate = layout.AddWords(n_tokens);
  if (experts.n_shared_ff != 0 || experts.has_dense_beside)
    scratch.shared_out = layout.AddWords(n_tokens, config.n_embd);
}

uint64_t ExpertWorkspaceBytes(const ModelConfig& config, const ModelPlan& plan,
                              const Device& device, uint32_t max_tokens) {
  const ExpertConfig& experts = config.experts;
  if (experts.count == 0) return 0;
  return device.ExpertMatmulWorkspaceBytes(static_cast<int>(max_tokens * experts.used),
                                           LongestRow(plan.weights),
                                           static_cast<int>(experts.count));
}

// Heads and their matrices are multiplied as experts and theirs.
uint64_t HeadWorkspaceBytes(const ModelConfig& config, const Device& device, uint32_t max_tokens) {
  const LatentConfig& latent = config.latent;
  if (!config.has_latent()) return 0;
  return device.ExpertMatmulWorkspaceBytes(static_cast<int>(max_tokens * config.n_heads),
                                           std::max(latent.rank, latent.plain_dim),
                                           static_cast<int>(config.n_heads));
}

void PlanLatentScratch(const ModelConfig& config, ScratchPlan& scratch, ArenaLayout& layout) {
  const LatentConfig& latent = config.latent;
  const uint64_t n_tokens = scratch.max_tokens;
  const uint64_t widest_head = std::max(config.ProjectedQueryDimOf(0), latent.value_dim);
  scratch.heads = layout.AddWords(n_tokens, config.n_heads * widest_head);
  scratch.turned_key = layout.AddWords(n_tokens, config.rope.dimension);
  if (latent.query_rank != 0) scratch.query_latent = layout.AddWords(n_tokens, latent.query_rank);
  scratch.head_ids = layout.AddWords(n_tokens, config.n_heads);
}

void PlanHybridScratch(const ModelConfig& config, ScratchPlan& scratch, ArenaLayout& layout) {
  const uint64_t n_tokens = scratch.max_tokens;
  if (config.gates_heads)
    scratch.heads = layout.AddWords(n_tokens, config.n_heads * config.ProjectedQueryDimOf(0));
  if (!scratch.is_recurrent) return;
  const RecurrentShape shape = config.recurrent_shape();
  scratch.mixed = layout.AddWords(n_tokens, shape.n_channels);
  scratch.convolved = layout.AddWords(n_tokens, shape.n_channels);
  scratch.mixer_gate = layout.AddWords(n_tokens, shape.n_outputs);
  const DeltaNetConfig& net = config.delta_net;
  scratch.mixer_alpha =
      layout.AddWords(n_tokens, std::max(net.n_value_heads, config.state_space.n_heads));
  if (net.n_value_heads == 0) return;
  scratch.delta_beta = layout.AddWords(n_tokens, net.n_value_heads);
  if (net.has_fused_strengths)
    scratch.delta_strengths = layout.AddWords(n_tokens, 2 * uint64_t{net.n_value_heads});
}

// What attention takes and gives, for the layer that has most of it.
void PlanHeadScratch(const ModelConfig& config, ScratchPlan& scratch, ArenaLayout& layout) {
  const uint64_t n_tokens = scratch.max_tokens;
  const auto add = [&](auto of_layer, uint64_t least = 0) {
    return layout.AddWords(n_tokens, std::max(least, MostOfLayers(config, of_layer)));
  };
  // A latent's queries come in parts, of which one is here before they are put together.
  scratch.q = add([&](uint32_t layer) { return config.QueryRowsOf(layer); },
                  config.n_heads * config.latent.plain_dim);
  scratch.k = add([&](uint32_t layer) { return config.HeadsOf(layer).k_rows(); });
  scratch.v = add([&](uint32_t layer) { return config.HeadsOf(layer).v_rows(); });
  scratch.attention =
      add([&](uint32_t layer) { return config.n_heads * config.HeadsOf(layer).value_dim; });
}

// The arrays of a largest step.
std::optional<uint64_t> IndexBytes(const KvPlan& kv, const ScratchPlan& scratch) {
  ArenaLayout arrays;
  for (int i = 0; i < 3; ++i)  // tokens, their positions and their sequences
    arrays.AddWords(scratch.max_tokens);
  if (scratch.scales_queries) arrays.AddWords(scratch.max_tokens);
  for (int i = 0; scratch.is_of_encoder && i < 3; ++i)  // what is seen, types, ones
    arrays.AddWords(scratch.max_tokens);
  arrays.AddWords(uint64_t{kv.max_sequences} + 1);
  for (int i = 0; scratch.is_recurrent && i < 4; ++i)  // those of RecurrentState
    arrays.AddWords(kv.max_sequences);
  arrays.AddWords(scratch.max_logit_rows);
  for (const KvGroup& group : kv.groups)
    arrays.AddWords(kv.max_sequences, group.blocks_per_sequence);
  return arrays.total();
}

// The tokens of a largest step, and what is wanted of them.
void PlanTokens(const ModelConfig& config, const LoadOptions& options, const Device& device,
                ScratchPlan& scratch) {
  scratch.is_of_encoder = config.is_encoder;
  scratch.max_tokens = options.prefill_chunk;
  if (config.is_encoder) return;
  scratch.max_tokens += options.max_sequences;
  // A step with guesses holds no prompt, and has room for them where a chunk would be.
  // What a recurrent layer has learned of a wrong guess it cannot forget.
  if (!config.IsHybrid())
    scratch.max_draft_tokens = std::min(device.info().max_draft_tokens, options.prefill_chunk - 1);
  // A sequence decodes or prefills, and either way generating takes the logits of its last token
  // and of guesses behind it. Those of more rows are computed in groups that fit logit_area.
  scratch.max_logit_rows = options.max_sequences + scratch.max_draft_tokens;
}

Result<ScratchPlan> PlanScratch(const ModelConfig& config, const ModelPlan& plan,
                                const Device& device) {
  ScratchPlan scratch;
  PlanTokens(config, plan.options, device, scratch);
  scratch.is_recurrent = config.IsHybrid();
  const uint64_t n_tokens = scratch.max_tokens, n_logit_rows = scratch.max_logit_rows;
  ArenaLayout layout;
  scratch.hidden = layout.AddWords(n_tokens, config.n_embd);
  scratch.normed = layout.AddWords(n_tokens, config.n_embd);
  PlanHeadScratch(config, scratch, layout);
  const uint64_t n_gate = WidestGate(config);
  scratch.gate = layout.AddWords(n_tokens, n_gate);
  scratch.up = layout.AddWords(n_tokens, config.has_gate ? n_gate : 0);
  scratch.gathered = layout.AddWords(n_logit_rows, config.n_embd);
  scratch.logits = layout.AddWords(n_logit_rows, config.n_vocab);
  scratch.logit_area = {
      scratch.q.offset_bytes,
      scratch.logits.offset_bytes + scratch.logits.size_bytes - scratch.q.offset_bytes};
  scratch.scales_queries =
      config.query_growth.scale != 0.0 && plan.kv.context_length > config.query_growth.period;
  const std::optional<uint64_t> index_bytes = IndexBytes(plan.kv, scratch);
  if (!index_bytes) return TooLargeToPlan("the activations of a step");
  scratch.indices = layout.Add(*index_bytes);
  scratch.top_logits = layout.Add(n_logit_rows * kTopLogitsBytes);
  const auto max_tokens = static_cast<int>(scratch.max_tokens);
  scratch.matmul_workspace =
      layout.Add(device.MatmulWorkspaceBytes(max_tokens, LongestRow(plan.weights)));
  const uint64_t value_dim =
      MostOfLayers(config, [&](uint32_t layer) { return config.HeadsOf(layer).value_dim; });
  scratch.attention_workspace = layout.Add(device.AttentionWorkspaceBytes(
      max_tokens, static_cast<int>(config.n_heads), static_cast<int>(value_dim)));
  scratch.rope_frequencies.push_back(layout.AddWords(config.rope.dimension / 2));
  if (config.window_rope)
    scratch.rope_frequencies.push_back(layout.AddWords(config.window_rope->dimension / 2));
  if (config.experts.count != 0) PlanExpertScratch(config, scratch, layout);
  if (config.has_latent()) PlanLatentScratch(config, scratch, layout);
  PlanHybridScratch(config, scratch, layout);
  if (config.HasLayerInputs()) {
    const uint64_t n_inputs = uint64_t{config.n_layers} * config.n_layer_input;
    scratch.layer_inputs = layout.AddWords(n_tokens, n_inputs);
    scratch.layer_products = layout.AddWords(n_tokens, n_inputs);
  }
  const uint64_t expert_workspace_bytes =
      std::max(ExpertWorkspaceBytes(config, plan, device, scratch.max_tokens),
               HeadWorkspaceBytes(config, device, scratch.max_tokens));
  if (expert_workspace_bytes != 0) scratch.expert_workspace = layout.Add(expert_workspace_bytes);
  if (!layout.total()) return TooLargeToPlan("the activations of a step");
  scratch.total_bytes = *layout.total();
  return scratch;
}

// An encoder computes a text as a whole.
Status FitTextIntoStep(LoadOptions& options) {
  if (options.context_length > kMaxPrefillChunk)
    return OutOfRange("an encoder computes a text in one step, of at most " +
                      std::to_string(kMaxPrefillChunk) +
                      " tokens; ask for no more: context_length " +
                      std::to_string(options.context_length))
        .WithReason("CONTEXT_LENGTH_EXCEEDED")
        .WithDetail("field", "context_length")
        .WithDetail("value", uint64_t{options.context_length});
  options.prefill_chunk = options.context_length;
  return Status();
}

}  // namespace

uint32_t LongestContext(const ModelConfig& config) {
  return config.is_encoder ? std::min(config.n_context_train, kMaxPrefillChunk)
                           : config.n_context_train;
}

Result<LoadOptions> ResolveOptions(const LoadOptions& options, const ModelConfig& config) {
  FORGE_TRY(CheckRange("max_sequences", options.max_sequences, kMaxSequences));
  FORGE_TRY(CheckRange("prefill_chunk", options.prefill_chunk, kMaxPrefillChunk));
  LoadOptions resolved = options;
  if (resolved.context_length == 0)
    resolved.context_length = std::min(config.n_context_train, kDefaultContext);
  if (resolved.context_length > config.n_context_train)
    return OutOfRange("the model was trained for a context of " +
                      std::to_string(config.n_context_train) +
                      " tokens; ask for no more: context_length " +
                      std::to_string(resolved.context_length))
        .WithReason("CONTEXT_LENGTH_EXCEEDED")
        .WithDetail("field", "context_length")
        .WithDetail("value", uint64_t{resolved.context_length})
        .WithDetail("trainedTokens", uint64_t{config.n_context_train});
  if (config.is_encoder) FORGE_TRY(FitTextIntoStep(resolved));
  return resolved;
}

Result<ModelPlan> PlanModel(const ModelDescription& description, const GgufFile& file,
                            const LoadOptions& options, const Device& device) {
  ModelPlan plan;
  FORGE_ASSIGN_OR_RETURN(plan.options, ResolveOptions(options, description.config));
  FORGE_TRY(PlanWeights(description, file, device, plan));
  FORGE_ASSIGN_OR_RETURN(plan.kv, PlanKv(description.config, plan.options));
  FORGE_ASSIGN_OR_RETURN(plan.scratch, PlanScratch(description.config, plan, device));
  const std::optional<uint64_t> total = CheckedSum()
                                            .Add(plan.weights_bytes)
                                            .Add(plan.kv.total_bytes)
                                            .Add(plan.scratch.total_bytes)
                                            .total();
  if (!total || *total > ArenaLayout::kMaxBytes) return TooLargeToPlan("the model");
  return plan;
}

}  // namespace forge
