#pragma once

#include <cstdint>

#include "tests/support/tiny_family.h"
#include "tests/support/tiny_model.h"

// What follows from a tiny model's options, for those who write its keys and its tensors.
namespace forge::testing {

inline constexpr uint32_t kTokenTypes = 2;   // of encoders
inline constexpr uint32_t kSharedCount = 2;  // experts that every token uses

TinyFamily FamilyOf(const TinyModelOptions& options);

uint64_t HeadLength(const TinyModelOptions& options);

// The sizes of latent attention. Rows of quantised matrices are whole blocks.
struct LatentSizes {
  uint64_t rank, query_rank, n_plain, n_turned, n_values;
};
LatentSizes LatentSizesOf(const TinyModelOptions& options);

// The sizes of delta nets; each `period`-th layer attends to all positions.
struct DeltaSizes {
  uint64_t n_key_heads, n_value_heads, head_dim, n_taps;
  uint32_t period;
};
DeltaSizes DeltaSizesOf(const TinyModelOptions& options);

// Of state spaces: n_rows is what all heads take and give.
struct StateSpaceSizes {
  uint64_t n_heads, n_groups, n_rows, state_dim, n_taps;
};
StateSpaceSizes StateSpaceSizesOf(const TinyModelOptions& options);

inline constexpr uint32_t kShortConvTaps = 3;

// What a layer is in a family that has_single_parts: a state space, a net and attention by turns;
// of two layers attention and a net.
enum class SinglePart { kStateSpace, kAttention, kNet };
SinglePart SinglePartOf(const TinyModelOptions& options, uint32_t layer);

bool IsRecurrent(const TinyModelOptions& options, uint32_t layer);
bool HasAttention(const TinyModelOptions& options, uint32_t layer);
bool HasNet(const TinyModelOptions& options, uint32_t layer);

// Of an expert: of a length of its own where there are dense nets beside.
uint32_t ExpertLength(const TinyModelOptions& options);
uint32_t SharedLength(const TinyModelOptions& options);

// A model of one layer has its experts there.
bool IsDense(const TinyModelOptions& options, uint32_t layer);

}  // namespace forge::testing
