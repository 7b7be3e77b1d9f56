#include "engine/model/kv_plan.h"

#include <algorithm>
#include <limits>
#include <string>

#include "engine/model/arena_layout.h"

namespace forge {
namespace {

uint32_t BlocksOf(uint64_t n_positions) {
  return static_cast<uint32_t>((n_positions + kKvBlockTokens - 1) / kKvBlockTokens);
}

Result<KvGroup> PlanGroup(uint32_t window, const LoadOptions& options) {
  KvGroup group;
  group.window = window;
  group.blocks_per_sequence = BlocksOf(options.context_length);
  if (window != 0)
    group.blocks_per_sequence =
        std::min(group.blocks_per_sequence, RingBlocks(window, options.prefill_chunk));
  const uint64_t n_blocks = uint64_t{options.max_sequences} * group.blocks_per_sequence;
  if (n_blocks > static_cast<uint64_t>(std::numeric_limits<int32_t>::max()))
    return InvalidArgument(
               "the KV cache would need more blocks than can be numbered; ask for a "
               "shorter context or fewer sequences: " +
               std::to_string(n_blocks) + " blocks of " + std::to_string(kKvBlockTokens) +
               " tokens")
        .WithReason("INVALID_REQUEST")
        .WithDetail("field", "context_length")
        .WithDetail("value", uint64_t{options.context_length});
  group.n_blocks = static_cast<uint32_t>(n_blocks);
  return group;
}

// The group of layers with this window, which is added if there is none.
Result<uint32_t> GroupOf(uint32_t window, const LoadOptions& options, KvPlan& kv) {
  const auto found = std::ranges::find(kv.groups, window, &KvGroup::window);
  if (found == kv.groups.end()) {
    FORGE_ASSIGN_OR_RETURN(const KvGroup group, PlanGroup(window, options));
    kv.groups.push_back(group);
    return static_cast<uint32_t>(kv.groups.size() - 1);
  }
  return static_cast<uint32_t>(found - kv.groups.begin());
}

// q8_0 shares scales among 32 elements of a head.
Status CheckHeads(const HeadShape& heads, KvDType dtype) {
  if (dtype != KvDType::kQ8_0 ||
      (heads.head_dim % kKvBlockElements == 0 && heads.value_dim % kKvBlockElements == 0))
    return Status();
  return InvalidArgument(
             "kv_cache_type q8_0 needs heads whose size is a multiple of 32; use f16, bf16 or f32 "
             "for this model: key size " +
             std::to_string(heads.head_dim) + ", value size " + std::to_string(heads.value_dim))
      .WithReason("INVALID_REQUEST")
      .WithDetail("field", "kv_cache_type")
      .WithDetail("value", "q8_0");
}

// The place of a layer that makes keys and values.
Result<KvLayerPlan> PlaceLayer(const ModelConfig& config, uint32_t layer,
                               const LoadOptions& options, KvPlan& kv, ArenaLayout& layout) {
  const HeadShape heads = config.HeadsOf(layer);
  FORGE_TRY(CheckHeads(heads, kv.dtype));
  KvLayerPlan place;
  FORGE_ASSIGN_OR_RETURN(place.group,
                         GroupOf(config.HasWindow(layer) ? config.window : 0, options, kv));
  const uint64_t n_positions = uint64_t{kv.groups[place.group].n_blocks} * kKvBlockTokens;
  const auto add = [&](uint32_t head_elements) {
    return layout.Add(
        CheckedSum().AddProduct(n_positions, heads.n_kv_heads, KvBytes(kv.dtype, head_elements)));
  };
  const ScratchSlot keys = add(heads.head_dim);
  const ScratchSlot values = config.has_latent() ? ScratchSlot() : add(heads.value_dim);
  place.key_offset_bytes = keys.offset_bytes;
  place.key_bytes = keys.size_bytes;
  place.value_offset_bytes = values.offset_bytes;
  place.value_bytes = values.size_bytes;
  return place;
}

// A slot: of each recurrent layer the tokens that its convolution needs, and what its heads
// remember.
Result<StatePlan> PlanState(const ModelConfig& config, const LoadOptions& options,
                            ArenaLayout& arena) {
  StatePlan state;
  const RecurrentShape shape = config.recurrent_shape();
  if (!config.IsHybrid()) return state;
  ArenaLayout slot;
  state.layers.resize(config.n_layers);
  for (uint32_t layer = 0; layer < config.n_layers; ++layer) {
    if (!config.IsRecurrent(layer)) continue;
    state.layers[layer].conv_offset_bytes =
        slot.AddWords(shape.n_taps - 1, shape.n_channels).offset_bytes;
    state.layers[layer].heads_offset_bytes =
        slot.AddWords(shape.n_state_rows, shape.n_state_cols).offset_bytes;
  }
  if (!slot.total()) return TooLargeToPlan("the state of a sequence");
  state.slot_bytes = *slot.total();
  state.n_slots = 2 * options.max_sequences + kSpareStateSlots;
  state.offset_bytes =
      arena.Add(CheckedSum().AddProduct(state.n_slots, state.slot_bytes)).offset_bytes;
  return state;
}

}  // namespace

uint32_t RingBlocks(uint32_t window, uint32_t step_tokens) {
  const uint64_t n_positions = uint64_t{window} + step_tokens - 1;
  // The first of them may be the last of its block.
  return BlocksOf(n_positions - 1) + 1;
}

Result<KvPlan> PlanKv(const ModelConfig& config, const LoadOptions& options) {
  KvPlan kv;
  kv.dtype = options.kv_dtype;
  kv.context_length = options.context_length;
  kv.max_sequences = options.max_sequences;
  ArenaLayout layout;
  for (uint32_t layer = 0; layer < config.n_layers; ++layer) {
    KvLayerPlan place;
    if (!config.HasOwnKv(layer)) {
      place = kv.layers[config.KvLayerOf(layer)];
    } else if (config.HasAttention(layer)) {
      FORGE_ASSIGN_OR_RETURN(place, PlaceLayer(config, layer, options, kv, layout));
    }
    kv.layers.push_back(place);
  }
  FORGE_ASSIGN_OR_RETURN(kv.state, PlanState(config, options, layout));
  if (!layout.total()) return TooLargeToPlan("the KV cache");
  kv.total_bytes = *layout.total();
  return kv;
}

}  // namespace forge
