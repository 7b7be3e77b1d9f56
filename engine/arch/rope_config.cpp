#include <optional>
#include <string>
#include <vector>

#include "engine/arch/config_parts.h"

namespace forge {
namespace {

Status ReadYarn(const KeyReader& keys, uint32_t n_context, RopeConfig& rope) {
  FORGE_ASSIGN_OR_RETURN(const double attn_factor, keys.PositiveOr("rope.scaling.attn_factor", 1));
  FORGE_ASSIGN_OR_RETURN(const double yarn_attn_factor,
                         keys.PositiveOr("rope.scaling.yarn_attn_factor", 1));
  FORGE_ASSIGN_OR_RETURN(
      rope.original_context,
      keys.OptionalOr("rope.scaling.original_context_length", n_context, kContextRange));
  FORGE_ASSIGN_OR_RETURN(rope.yarn_beta_fast,
                         keys.PositiveOr("rope.scaling.yarn_beta_fast", rope.yarn_beta_fast));
  FORGE_ASSIGN_OR_RETURN(rope.yarn_beta_slow,
                         keys.PositiveOr("rope.scaling.yarn_beta_slow", rope.yarn_beta_slow));
  FORGE_ASSIGN_OR_RETURN(const std::optional<double> ext_factor,
                         keys.Float("rope.scaling.yarn_ext_factor"));
  // Converters write -1 for "as usual".
  if (ext_factor && *ext_factor >= 0) rope.yarn_ext_factor = *ext_factor;
  // Converters write into the second key what transformers' `attention_factor` says: the magnitude
  // itself, which YaRN's own 1 + 0.1 ln factor is already. With both, models would be scaled twice.
  // llama.cpp, too, looks at the key only where YaRN does not extrapolate (its pull request 17945).
  const bool has_own_magnitude = rope.yarn_ext_factor != 0.0;
  rope.attn_factor = has_own_magnitude ? attn_factor : attn_factor * yarn_attn_factor;
  return Status();
}

// The divisors are tensors; files of a short context have none, and older ones no type either.
Status ReadLongRope(const KeyReader& keys, uint32_t n_context, RopeConfig& rope) {
  rope.scaling = RopeScaling::kLongRope;
  FORGE_ASSIGN_OR_RETURN(rope.attn_factor, keys.PositiveOr("rope.scaling.attn_factor", 1));
  FORGE_ASSIGN_OR_RETURN(
      rope.original_context,
      keys.OptionalOr("rope.scaling.original_context_length", n_context, kContextRange));
  return Status();
}

Status ReadRopeScaling(const KeyReader& keys, LongRope long_rope, uint32_t n_context,
                       RopeConfig& rope) {
  constexpr std::string_view kType = "rope.scaling.type";
  FORGE_ASSIGN_OR_RETURN(const std::optional<std::string_view> type, keys.String(kType));
  // Files older than the key `type` have `scale_linear`, and factor 0 where nothing is scaled.
  const std::string_view name =
      keys.Has("rope.scaling.factor") ? "rope.scaling.factor" : "rope.scale_linear";
  FORGE_ASSIGN_OR_RETURN(rope.factor, keys.PositiveUnlessZeroOr(name, 1));
  const bool is_long_rope = (long_rope != LongRope::kNever && type == "longrope") ||
                            (long_rope == LongRope::kUnlessNamed && !type && rope.factor == 1.0);
  if (is_long_rope) return ReadLongRope(keys, n_context, rope);
  if (type == "yarn") {
    rope.scaling = RopeScaling::kYarn;
    return ReadYarn(keys, n_context, rope);
  }
  for (const std::string_view key : {"rope.scaling.attn_factor", "rope.scaling.yarn_attn_factor"}) {
    FORGE_ASSIGN_OR_RETURN(const double attention_factor, keys.PositiveOr(key, 1));
    if (attention_factor != 1.0)
      return UnsupportedField("the engine scales attention by this key under YaRN only",
                              keys.Field(key));
  }
  if (type == "none") {
    rope.factor = 1.0;
  } else if (!type || type == "linear") {
    rope.scaling = rope.factor == 1.0 ? RopeScaling::kNone : RopeScaling::kLinear;
  } else {
    return UnsupportedField(
        "the engine knows the scalings none, linear and yarn, and longrope for llama and phi3",
        keys.Field(kType));
  }
  return Status();
}

}  // namespace

Result<uint32_t> ReadRopeDimension(const KeyReader& keys, std::string_view name,
                                   uint32_t head_dim) {
  FORGE_ASSIGN_OR_RETURN(const uint32_t width, keys.OptionalOr(name, head_dim, {1, head_dim}));
  if (width % 2 == 0) return width;
  if (!keys.Has(name))
    return MissingField("the head size " + std::to_string(head_dim) +
                            " is odd, so the key must give an even rotary width",
                        keys.Key(name));
  return InvalidField("the rotary width is even", keys.Field(name));
}

Status ReadRopeSections(const KeyReader& keys) {
  constexpr std::string_view kName = "rope.dimension_sections";
  FORGE_ASSIGN_OR_RETURN(const std::optional<std::vector<uint64_t>> sections, keys.Unsigned(kName));
  if (!sections) return MissingField("the key is required", keys.Key(kName));
  if (sections->size() == 3 || (sections->size() == 4 && sections->back() == 0)) return Status();
  return UnsupportedField("the engine turns sections of heads by time, height and width only",
                          keys.Field(kName));
}

Status ReadRope(const KeyReader& keys, LongRope long_rope, ModelConfig& config) {
  RopeConfig& rope = config.rope;
  FORGE_ASSIGN_OR_RETURN(rope.dimension,
                         ReadRopeDimension(keys, "rope.dimension_count", config.head_dim));
  FORGE_ASSIGN_OR_RETURN(rope.base, keys.PositiveOr("rope.freq_base", 10000.0));
  rope.original_context = config.n_context_train;
  return ReadRopeScaling(keys, long_rope, config.n_context_train, rope);
}

}  // namespace forge
