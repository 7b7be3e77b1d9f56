#pragma once

#include <optional>
#include <string_view>

#include "engine/arch/key_reader.h"
#include "engine/arch/model_config.h"
#include "kernels/base/status.h"

// Parts of a configuration, each read and checked alike in every family that has it. Errors as
// KeyReader's; kUnimplemented (reason ARCHITECTURE_UNSUPPORTED) for what the engine cannot do.
namespace forge {

inline constexpr KeyReader::Range kContextRange = {1, 0x7fffffff};
inline constexpr KeyReader::Range kFeedForwardRange = {1, 1u << 22};
inline constexpr KeyReader::Range kHeadRange = {1, 4096};
inline constexpr KeyReader::Range kHeadSizeRange = {1, 8192};

// Whether a family may have divisors of its own for long contexts and for short ones.
enum class LongRope {
  kNever,
  kWhereNamed,   // by the type of scaling
  kUnlessNamed,  // another type, or a factor: the family's older files name none
};

// Rotary embedding. REQUIRES: the shape and the context of `config` are read.
Status ReadRope(const KeyReader& keys, LongRope long_rope, ModelConfig& config);

// How many elements of each head are turned: even, and without the key `name` all of them.
Result<uint32_t> ReadRopeDimension(const KeyReader& keys, std::string_view name, uint32_t head_dim);

// The sections of a head that models which see turn by a position in time, height or width each.
// Those of a text token are one number, so there is nothing to keep.
Status ReadRopeSections(const KeyReader& keys);

// A factor from 0.0001 to 10000; `fallback` where the key is absent or 0.
Result<double> ReadScale(const KeyReader& keys, std::string_view name, double fallback);

// How a family's router works.
struct ExpertTraits {
  ExpertGating gating;  // where the file names none
  bool normalizes_weights;
  // Without a length of their own, the experts of one token share feed_forward_length; else each
  // has all of it.
  bool shares_feed_forward_length;
  bool chooses_gating = false;   // the file may name softmax of all or sigmoid
  bool may_have_groups = false;  // expert_group_count of them
  bool may_begin_dense = false;  // leading_dense_block_count layers have a dense net
};
// The experts; leaves a dense model dense, which has no expert_count or 0 of it.
Status ReadExperts(const KeyReader& keys, const ExpertTraits& traits, ModelConfig& config);
// The same for a family that is nothing without them.
Status RequireExperts(const KeyReader& keys, const ExpertTraits& traits, ModelConfig& config);

// The experts that every token uses, without a gate: one net of this length, or as long as
// expert_shared_count of the others together. None where the key is absent or 0. REQUIRES: the
// experts are read.
Status ReadSharedLength(const KeyReader& keys, ModelConfig& config);
Status ReadSharedCount(const KeyReader& keys, ModelConfig& config);

// The expert that every token uses through a gate of its own, which a family of experts has; as
// long as a dense net where the key is absent. REQUIRES: as above.
Status ReadGatedSharedLength(const KeyReader& keys, ModelConfig& config);

// Counts the last layers out that guess tokens further ahead than the next. REQUIRES: nothing that
// is read of each layer has been read.
Status ReadPredictionLayers(const KeyReader& keys, ModelConfig& config);

// The KV heads of the layers that have any; the others are recurrent.
Status ReadKvHeadsOfLayers(const KeyReader& keys, ModelConfig& config);

// The lengths of the feed-forward nets of a family whose layers have one part each: a layer without
// a net is attention or recurrent, as its KV heads tell. REQUIRES: those are read.
Status ReadNetsOfSingleParts(const KeyReader& keys, ModelConfig& config);

// Mamba 2's layers. REQUIRES: which layers are recurrent is read.
Status ReadStateSpace(const KeyReader& keys, ModelConfig& config);

// A window over every layer, where the key has one below the context.
Status ReadWindowOfAllLayers(const KeyReader& keys, ModelConfig& config);

// A window over all layers but each `period`-th, or those that attention.sliding_window_pattern
// names. `default_window`: for files without the key; 0: it is required.
struct WindowTraits {
  uint32_t default_window;
  uint32_t period;
};
Status ReadWindowPattern(const KeyReader& keys, const WindowTraits& traits, ModelConfig& config);

// A window over the layers that attention.sliding_window_pattern names one by one.
Status ReadWindowOfNamedLayers(const KeyReader& keys, ModelConfig& config);

// The same where the file has a window; else every layer sees all positions.
Status ReadWindowPatternIfAny(const KeyReader& keys, uint32_t period, ModelConfig& config);

// kUnimplemented for a key that changes the computation and that no reader has asked for.
Status RefuseUnreadKeys(const KeyReader& keys);

}  // namespace forge
