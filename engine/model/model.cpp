#include "engine/model/model.h"

#include <algorithm>
#include <new>
#include <string>
#include <utility>

#include "engine/arch/architecture.h"
#include "engine/gguf/gguf_fault.h"
#include "engine/model/weight_loader.h"
#include "kernels/base/check.h"

namespace forge {
namespace {

constexpr uint64_t kZeroChunkBytes = uint64_t{1} << 20;

std::string NameOf(const GgufFile& file) { return "model file " + QuoteText(file.path()); }

// Puts the file's name before an error that does not have it.
template <typename T>
Result<T> Named(const GgufFile& file, Result<T> result) {
  if (!result.ok()) return result.status().WithContext(NameOf(file));
  return result;
}

// The divisors of the rotary frequencies that a context of this length takes, if the model has any.
WeightRole RopeFactorsRole(const ModelConfig& config, uint32_t context_length) {
  if (!config.has_long_rope_factors) return WeightRole::kRopeFactors;
  return context_length > config.rope.original_context ? WeightRole::kRopeFactorsLong
                                                       : WeightRole::kRopeFactorsShort;
}

// The model's own divisors of the rotary frequencies; empty where it has none.
Result<std::vector<float>> ReadRopeFactors(const GgufFile& file,
                                           const ModelDescription& description, WeightRole role) {
  std::vector<float> factors;
  for (const TensorSpec& spec : description.tensors) {
    if (spec.role != role) continue;
    const GgufTensor& tensor = *file.FindTensor(spec.file_tensor);
    const FormatInfo& format = *FindFormat(tensor.dtype);
    std::vector<std::byte> bytes(tensor.size_bytes);
    FORGE_TRY(file.ReadAt(tensor.offset_bytes, bytes));
    factors.resize(spec.n_cols);
    format.dequantize(bytes.data(), spec.n_cols / format.block_elements, factors.data());
  }
  return factors;
}

Result<std::vector<RopeTable>> ComputeRopeTables(const ModelConfig& config,
                                                 std::span<const float> factors) {
  std::vector<RopeTable> tables(1);
  FORGE_ASSIGN_OR_RETURN(tables[0], ComputeRopeTable(config.rope, factors));
  if (config.window_rope) {
    FORGE_ASSIGN_OR_RETURN(RopeTable table, ComputeRopeTable(*config.window_rope, {}));
    tables.push_back(std::move(table));
  }
  return tables;
}

// A token without a row would be read past the end of the embedding, and a row without a token
// could be chosen and not be shown.
Status CheckVocabulary(const Tokenizer& tokenizer, const ModelConfig& config) {
  if (tokenizer.n_tokens() == config.n_vocab) return Status();
  return InvalidField("the vocabulary has a token for each of the model's " +
                          std::to_string(config.n_vocab) + " embeddings",
                      {"tokenizer.ggml.tokens (elements)", std::to_string(tokenizer.n_tokens())});
}

Result<Arena> CreateArena(std::string_view what, Device& device, Reservation claim) {
  const uint64_t bytes = claim.bytes();
  Result<Arena> arena = Arena::Create(device, std::move(claim));
  if (arena.ok() || arena.status().code() != StatusCode::kResourceExhausted) return arena;
  // The plan was admitted, so somebody took the memory since.
  return arena.status()
      .WithContext("device " + device.info().id + " has no room for the " + std::string(what) +
                   " of an admitted model (" + std::to_string(bytes) + " bytes)")
      .WithReason("GPU_MEMORY_TAKEN_BY_OTHERS")
      .WithDetail("device", device.info().id)
      .WithDetail("requestedBytes", bytes);
}

Result<std::array<Arena, 3>> CreateArenas(const ModelPlan& plan, Ledger& ledger) {
  FORGE_ASSIGN_OR_RETURN(Reservation claim, ledger.Admit(plan.total_bytes()));
  Device& device = ledger.device();
  FORGE_ASSIGN_OR_RETURN(Arena weights,
                         CreateArena("weights", device, claim.Split(plan.weights_bytes)));
  FORGE_ASSIGN_OR_RETURN(Arena kv,
                         CreateArena("KV cache", device, claim.Split(plan.kv.total_bytes)));
  FORGE_ASSIGN_OR_RETURN(Arena scratch, CreateArena("activations", device, std::move(claim)));
  return std::array<Arena, 3>{std::move(weights), std::move(kv), std::move(scratch)};
}

Status ZeroFill(std::byte* data, uint64_t bytes, Device& device, Stream& stream,
                ProgressReporter& progress) {
  const std::unique_ptr<std::byte[]> zeros(new (std::nothrow) std::byte[kZeroChunkBytes]());
  if (zeros == nullptr)
    return ResourceExhausted("no host memory to clear a model's cache with")
        .WithReason("HOST_MEMORY_EXHAUSTED");
  for (uint64_t offset = 0; offset < bytes; offset += kZeroChunkBytes) {
    if (!progress.Report(0)) {
      FORGE_TRY(stream.Synchronize());
      return Cancelled("the load was cancelled before any weight was read");
    }
    FORGE_TRY(device.CopyIn(data + offset, zeros.get(), std::min(kZeroChunkBytes, bytes - offset),
                            stream));
  }
  return stream.Synchronize();
}

// The place of each role in ModelWeights.
struct ModelMatrixPlace {
  WeightRole role;
  WeightView ModelWeights::*member;
};
constexpr ModelMatrixPlace kModelMatrixPlaces[] = {
    {WeightRole::kTokenEmbedding, &ModelWeights::token_embedding},
    {WeightRole::kLayerInputs, &ModelWeights::layer_inputs},
    {WeightRole::kLayerInputProjection, &ModelWeights::layer_input_projection},
    {WeightRole::kTokenTypes, &ModelWeights::token_types},
    {WeightRole::kPositionEmbedding, &ModelWeights::position_embedding},
    {WeightRole::kOutput, &ModelWeights::output},
};
struct ModelVectorPlace {
  WeightRole role;
  const float* ModelWeights::*member;
};
constexpr ModelVectorPlace kModelVectorPlaces[] = {
    {WeightRole::kLayerInputNorm, &ModelWeights::layer_input_norm},
    {WeightRole::kEmbeddingNorm, &ModelWeights::embedding_norm},
    {WeightRole::kEmbeddingNormBias, &ModelWeights::embedding_norm_bias},
    {WeightRole::kOutputNorm, &ModelWeights::output_norm},
    {WeightRole::kOutputNormBias, &ModelWeights::output_norm_bias},
    {WeightRole::kOutputBias, &ModelWeights::output_bias},
};

// The place of each role in LayerWeights.
struct MatrixPlace {
  WeightRole role;
  WeightView LayerWeights::*member;
};
constexpr MatrixPlace kMatrixPlaces[] = {
    {WeightRole::kAttnQ, &LayerWeights::q},
    {WeightRole::kAttnK, &LayerWeights::k},
    {WeightRole::kAttnV, &LayerWeights::v},
    {WeightRole::kQueryLatent, &LayerWeights::query_latent},
    {WeightRole::kLatent, &LayerWeights::latent},
    {WeightRole::kMixed, &LayerWeights::mixed},
    {WeightRole::kMixedGate, &LayerWeights::mixed_gate},
    {WeightRole::kMixerGate, &LayerWeights::mixer_gate},
    {WeightRole::kDeltaBeta, &LayerWeights::delta_beta},
    {WeightRole::kMixerAlpha, &LayerWeights::mixer_alpha},
    {WeightRole::kDeltaStrengths, &LayerWeights::delta_strengths},
    {WeightRole::kAttnOutput, &LayerWeights::attn_output},
    {WeightRole::kFfnGate, &LayerWeights::gate},
    {WeightRole::kFfnUp, &LayerWeights::up},
    {WeightRole::kFfnDown, &LayerWeights::down},
    {WeightRole::kLayerInputGate, &LayerWeights::layer_input_gate},
    {WeightRole::kLayerInputOutput, &LayerWeights::layer_input_output},
    {WeightRole::kRouter, &LayerWeights::router},
    {WeightRole::kSharedRouter, &LayerWeights::shared_router},
    {WeightRole::kSharedGate, &LayerWeights::shared_gate},
    {WeightRole::kSharedUp, &LayerWeights::shared_up},
    {WeightRole::kSharedDown, &LayerWeights::shared_down},
};
struct ExpertPlace {
  WeightRole role;
  ExpertWeights LayerWeights::*member;
};
constexpr ExpertPlace kExpertPlaces[] = {
    {WeightRole::kHeadKeys, &LayerWeights::head_keys},
    {WeightRole::kHeadValues, &LayerWeights::head_values},
    {WeightRole::kExpertGate, &LayerWeights::expert_gate},
    {WeightRole::kExpertUp, &LayerWeights::expert_up},
    {WeightRole::kExpertDown, &LayerWeights::expert_down},
};
struct VectorPlace {
  WeightRole role;
  const float* LayerWeights::*member;
};
constexpr VectorPlace kVectorPlaces[] = {
    {WeightRole::kAttnNorm, &LayerWeights::attn_norm},
    {WeightRole::kAttnNormBias, &LayerWeights::attn_norm_bias},
    {WeightRole::kAttnQBias, &LayerWeights::q_bias},
    {WeightRole::kAttnKBias, &LayerWeights::k_bias},
    {WeightRole::kAttnVBias, &LayerWeights::v_bias},
    {WeightRole::kQueryLatentNorm, &LayerWeights::query_latent_norm},
    {WeightRole::kLatentNorm, &LayerWeights::latent_norm},
    {WeightRole::kConv, &LayerWeights::conv},
    {WeightRole::kMixerAlphaBias, &LayerWeights::mixer_alpha_bias},
    {WeightRole::kMixerDecay, &LayerWeights::mixer_decay},
    {WeightRole::kMixerSkip, &LayerWeights::mixer_skip},
    {WeightRole::kMixerNorm, &LayerWeights::mixer_norm},
    {WeightRole::kConvBias, &LayerWeights::conv_bias},
    {WeightRole::kAttnQNorm, &LayerWeights::q_norm},
    {WeightRole::kAttnKNorm, &LayerWeights::k_norm},
    {WeightRole::kAttnSinks, &LayerWeights::sinks},
    {WeightRole::kAttnOutputBias, &LayerWeights::attn_output_bias},
    {WeightRole::kAttnPostNorm, &LayerWeights::attn_post_norm},
    {WeightRole::kAttnSumNorm, &LayerWeights::attn_sum_norm},
    {WeightRole::kAttnSumNormBias, &LayerWeights::attn_sum_norm_bias},
    {WeightRole::kFfnNorm, &LayerWeights::ffn_norm},
    {WeightRole::kFfnNormBias, &LayerWeights::ffn_norm_bias},
    {WeightRole::kFfnGateBias, &LayerWeights::gate_bias},
    {WeightRole::kFfnUpBias, &LayerWeights::up_bias},
    {WeightRole::kFfnDownBias, &LayerWeights::down_bias},
    {WeightRole::kFfnPostNorm, &LayerWeights::ffn_post_norm},
    {WeightRole::kFfnSumNorm, &LayerWeights::ffn_sum_norm},
    {WeightRole::kFfnSumNormBias, &LayerWeights::ffn_sum_norm_bias},
    {WeightRole::kFfnMadeNorm, &LayerWeights::ffn_made_norm},
    {WeightRole::kLayerInputPostNorm, &LayerWeights::layer_input_post_norm},
    {WeightRole::kLayerScale, &LayerWeights::layer_scale},
    {WeightRole::kRouterNorm, &LayerWeights::router_norm},
    {WeightRole::kExpertNorm, &LayerWeights::expert_norm},
    {WeightRole::kExpertMadeNorm, &LayerWeights::expert_made_norm},
    {WeightRole::kExpertScales, &LayerWeights::expert_scales},
    {WeightRole::kRouterBias, &LayerWeights::router_bias},
    {WeightRole::kSelectionBias, &LayerWeights::selection_bias},
    {WeightRole::kExpertGateBias, &LayerWeights::expert_gate_bias},
    {WeightRole::kExpertUpBias, &LayerWeights::expert_up_bias},
    {WeightRole::kExpertDownBias, &LayerWeights::expert_down_bias},
};

template <size_t kSize, typename Place>
auto FindMember(const Place (&places)[kSize], WeightRole role) {
  for (const Place& place : places)
    if (place.role == role) return place.member;
  FORGE_CHECK(false, "no place among the weights for: " + std::string(WeightRoleName(role)));
}

bool IsExpert(WeightRole role) {
  return std::ranges::find(kExpertPlaces, role, &ExpertPlace::role) != std::end(kExpertPlaces);
}

// The plan places the experts of a layer one after the other, in order.
void BindExpert(const WeightPlacement& placement, const std::byte* data, ExpertWeights& experts) {
  if (placement.expert == 0)
    experts = {
        .first = {data, placement.shape}, .stride_bytes = placement.size_bytes, .n_experts = 0};
  FORGE_CHECK(placement.expert == static_cast<uint32_t>(experts.n_experts) &&
                  data == static_cast<const std::byte*>(experts.first.data) +
                              placement.expert * experts.stride_bytes,
              placement.spec.file_tensor);
  ++experts.n_experts;
}

void BindWeight(const WeightPlacement& placement, const std::byte* data, ModelWeights& weights) {
  const WeightRole role = placement.spec.role;
  const WeightView view = {data, placement.shape};
  const auto* const vector = reinterpret_cast<const float*>(data);
  if (placement.spec.layer < 0) {
    if (placement.spec.is_vector)
      weights.*FindMember(kModelVectorPlaces, role) = vector;
    else
      weights.*FindMember(kModelMatrixPlaces, role) = view;
    return;
  }
  LayerWeights& layer = weights.layers.at(static_cast<size_t>(placement.spec.layer));
  if (placement.spec.is_vector)
    layer.*FindMember(kVectorPlaces, role) = vector;
  else if (IsExpert(role))
    BindExpert(placement, data, layer.*FindMember(kExpertPlaces, role));
  else
    layer.*FindMember(kMatrixPlaces, role) = view;
}

}  // namespace

struct Model::HostParts {
  ModelConfig config;
  ModelPlan plan;
  std::vector<RopeTable> rope_tables;
  std::unique_ptr<Tokenizer> tokenizer;
  Result<ChatTemplate> chat_template;
};

Result<Model::HostParts> Model::Prepare(const GgufFile& file, const LoadOptions& options,
                                        const Device& device) {
  FORGE_ASSIGN_OR_RETURN(ModelDescription description, DescribeModel(file));
  FORGE_ASSIGN_OR_RETURN(ModelPlan plan, PlanModel(description, file, options, device));
  FORGE_ASSIGN_OR_RETURN(std::unique_ptr<Tokenizer> tokenizer,
                         Named(file, Tokenizer::Create(file.metadata())));
  FORGE_TRY(CheckVocabulary(*tokenizer, description.config).WithContext(NameOf(file)));
  const WeightRole role = RopeFactorsRole(description.config, plan.kv.context_length);
  FORGE_ASSIGN_OR_RETURN(const std::vector<float> factors,
                         ReadRopeFactors(file, description, role));
  FORGE_ASSIGN_OR_RETURN(std::vector<RopeTable> rope_tables,
                         Named(file, ComputeRopeTables(description.config, factors)));
  return HostParts{std::move(description.config), std::move(plan), std::move(rope_tables),
                   std::move(tokenizer), ChatTemplate::Create(file.metadata())};
}

Result<std::unique_ptr<Model>> Model::Load(const GgufFile& file, const LoadOptions& options,
                                           Ledger& ledger, const LoadProgress& progress) {
  FORGE_ASSIGN_OR_RETURN(HostParts parts, Prepare(file, options, ledger.device()));
  FORGE_ASSIGN_OR_RETURN(auto arenas, CreateArenas(parts.plan, ledger));
  std::unique_ptr<Model> model(new Model(std::move(parts), ledger.device(), std::move(arenas)));
  ProgressReporter reporter(progress, model->plan_.file_bytes);
  FORGE_TRY(model->Initialize(reporter).WithContext(NameOf(file)));
  FORGE_TRY(
      LoadWeights(file, model->plan_.weights, ledger.device(), model->weights_arena_, reporter));
  model->BindWeights();
  return model;
}

Model::Model(HostParts parts, Device& device, std::array<Arena, 3> arenas)
    : config_(std::move(parts.config)),
      plan_(std::move(parts.plan)),
      device_(&device),
      weights_arena_(std::move(arenas[0])),
      kv_arena_(std::move(arenas[1])),
      scratch_arena_(std::move(arenas[2])),
      weights_base_(*weights_arena_.View(0, plan_.weights_bytes)),
      kv_base_(*kv_arena_.View(0, plan_.kv.total_bytes)),
      scratch_base_(*scratch_arena_.View(0, plan_.scratch.total_bytes)),
      rope_tables_(std::move(parts.rope_tables)),
      tokenizer_(std::move(parts.tokenizer)),
      chat_template_(std::move(parts.chat_template)) {}

// Attention may read whole blocks and weigh the positions past a sequence's end with zero, which
// needs numbers there: memory that held something else may read as NaN.
Status Model::Initialize(ProgressReporter& progress) {
  FORGE_ASSIGN_OR_RETURN(const std::unique_ptr<Stream> stream, device_->CreateStream());
  FORGE_TRY(ZeroFill(kv_base_, plan_.kv.total_bytes, *device_, *stream, progress));
  FORGE_TRY(ZeroFill(scratch_base_, plan_.scratch.total_bytes, *device_, *stream, progress));
  for (size_t i = 0; i < rope_tables_.size(); ++i)
    FORGE_TRY(device_->CopyIn(Scratch<float>(plan_.scratch.rope_frequencies[i]),
                              rope_tables_[i].frequencies.data(),
                              rope_tables_[i].frequencies.size() * sizeof(float), *stream));
  if (config_.has_latent()) FORGE_TRY(WriteHeadIds(*stream));
  return stream->Synchronize();
}

Status Model::WriteHeadIds(Stream& stream) {
  const size_t n_ids = plan_.scratch.head_ids.size_bytes / sizeof(int32_t);
  const std::unique_ptr<int32_t[]> ids(new (std::nothrow) int32_t[n_ids]);
  if (ids == nullptr)
    return ResourceExhausted("no host memory to number a model's heads with")
        .WithReason("HOST_MEMORY_EXHAUSTED");
  for (size_t i = 0; i < n_ids; ++i) ids[i] = static_cast<int32_t>(i % config_.n_heads);
  FORGE_TRY(device_->CopyIn(Scratch<int32_t>(plan_.scratch.head_ids), ids.get(),
                            n_ids * sizeof(int32_t), stream));
  return stream.Synchronize();
}

void Model::BindWeights() {
  weights_.layers.resize(config_.n_layers);
  for (const WeightPlacement& placement : plan_.weights)
    BindWeight(placement, weights_base_ + placement.offset_bytes, weights_);
  if (config_.has_tied_output) weights_.output = weights_.token_embedding;
  if (config_.order != BlockOrder::kParallelOneNorm) return;
  for (LayerWeights& layer : weights_.layers) {
    layer.ffn_norm = layer.attn_norm;
    layer.ffn_norm_bias = layer.attn_norm_bias;
  }
}

KvLayerView Model::KvLayer(uint32_t layer) const {
  FORGE_CHECK(layer < config_.n_layers, "layer " + std::to_string(layer));
  const KvPlan& kv = plan_.kv;
  const KvLayerPlan& place = kv.layers[layer];
  const HeadShape heads = config_.HeadsOf(layer);
  return {.keys = kv_base_ + place.key_offset_bytes,
          .values = config_.has_latent() ? nullptr : kv_base_ + place.value_offset_bytes,
          .dtype = kv.dtype,
          .n_blocks = static_cast<int>(kv.groups[place.group].n_blocks),
          .block_tokens = static_cast<int>(kKvBlockTokens),
          .n_kv_heads = static_cast<int>(heads.n_kv_heads),
          .head_dim = static_cast<int>(heads.head_dim),
          .value_dim = static_cast<int>(heads.value_dim),
          .values_in_keys = config_.has_latent()};
}

RecurrentState Model::StateAt(uint64_t offset_bytes) const {
  const StatePlan& state = plan_.kv.state;
  return {.data = reinterpret_cast<float*>(kv_base_ + state.offset_bytes + offset_bytes),
          .slot_stride = static_cast<int64_t>(state.slot_bytes / sizeof(float)),
          .n_slots = static_cast<int>(state.n_slots)};
}

RecurrentState Model::ConvState(uint32_t layer) const {
  return StateAt(plan_.kv.state.layers.at(layer).conv_offset_bytes);
}

RecurrentState Model::HeadState(uint32_t layer) const {
  return StateAt(plan_.kv.state.layers.at(layer).heads_offset_bytes);
}

}  // namespace forge
