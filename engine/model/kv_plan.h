#pragma once

#include <cstdint>
#include <vector>

#include "engine/arch/model_config.h"
#include "engine/model/load_options.h"
#include "kernels/base/result.h"

namespace forge {

// Positions in a KV block.
inline constexpr uint32_t kKvBlockTokens = 32;

// Layers that keep the same positions, and so share block tables.
//
// With a window a sequence's table is a ring: position p is in block
// table[(p / block_tokens) % blocks_per_sequence], which holds the positions that a step's first
// token sees and all of the step's own.
struct KvGroup {
  uint32_t window = 0;               // positions that a token sees, itself included; 0: all
  uint32_t blocks_per_sequence = 0;  // at most
  uint32_t n_blocks = 0;             // of all sequences
};

// Where one layer's keys and values lie in the KV arena. Those of a layer that attends to another's
// are the other's place, and take no bytes of their own.
struct KvLayerPlan {
  uint32_t group = 0;
  uint64_t key_offset_bytes = 0;
  uint64_t key_bytes = 0;
  uint64_t value_offset_bytes = 0;
  uint64_t value_bytes = 0;  // 0: a value is part of its key
};

// What a recurrent layer remembers of a sequence, within a slot.
struct StateLayerPlan {
  uint64_t conv_offset_bytes = 0;
  uint64_t heads_offset_bytes = 0;
};

// Slots for what the recurrent layers remember of a sequence, all in one place. Of a sequence at
// work one slot changes with each step, and a step may keep one more as it was at the end of a
// block, for others that begin with the same tokens. Each sequence can have these two at any time;
// kSpareStateSlots hold what was kept.
struct StatePlan {
  uint32_t n_slots = 0;                // 0: no layer is recurrent
  uint64_t slot_bytes = 0;             // a multiple of 64
  uint64_t offset_bytes = 0;           // of the first slot in the KV arena
  std::vector<StateLayerPlan> layers;  // [n_layers], where there are slots
};
inline constexpr uint32_t kSpareStateSlots = 2;

// The KV cache: blocks of kKvBlockTokens positions, for every layer.
struct KvPlan {
  KvDType dtype = KvDType::kF16;
  uint32_t context_length = 0;  // of each sequence, after defaults
  uint32_t max_sequences = 0;
  std::vector<KvGroup> groups;      // at least one; each has layers
  std::vector<KvLayerPlan> layers;  // [n_layers]; those without attention have no place here
  StatePlan state;
  uint64_t total_bytes = 0;
};

// Blocks of a ring in which a step of up to `step_tokens` tokens still finds what its first token
// sees: window - 1 positions before it, wherever in a block they begin.
uint32_t RingBlocks(uint32_t window, uint32_t step_tokens);

// The KV cache for resolved options. kInvalidArgument (reason INVALID_REQUEST) for more blocks than
// indices, 2^63 bytes, or kQ8_0 with heads of another size than a multiple of 32.
Result<KvPlan> PlanKv(const ModelConfig& config, const LoadOptions& options);

}  // namespace forge
