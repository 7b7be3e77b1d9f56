#include <algorithm>
#include <optional>
#include <string>

#include "engine/arch/config_parts.h"

namespace forge {
namespace {

// Keys that change the computation, of this family or of others. Where the key is absent or has one
// of its two neutral values it changes nothing.
struct ChangingKey {
  std::string_view name;
  double neutral, also_neutral;
};
constexpr ChangingKey kChangingKeys[] = {
    {"attn_logit_softcapping", 0, 0},
    {"final_logit_softcapping", 0, 0},
    {"attention.causal", 1, 1},
    {"attention.clamp_kqv", 0, 0},
    {"attention.kv_lora_rank", 0, 0},
    {"attention.max_alibi_bias", 0, 0},
    {"attention.output_scale", 0, 1},
    {"attention.q_lora_rank", 0, 0},
    {"attention.scale", 0, 0},
    {"attention.shared_kv_layers", 0, 0},
    {"attention.sliding_window", 0, 0},
    {"attention.temperature_scale", 0, 0},
    {"embedding_length_per_layer_input", 0, 0},
    {"embedding_scale", 0, 1},
    {"expert_count", 0, 0},
    {"expert_group_count", 0, 1},
    {"interleave_moe_layer_step", 0, 1},
    {"leading_dense_block_count", 0, 0},
    {"logit_scale", 0, 1},
    {"nextn_predict_layers", 0, 0},
    {"residual_scale", 0, 1},
    {"rope.dimension_sections", 0, 0},
    {"rope.scaling.yarn_log_multiplier", 0, 0},
    {"use_parallel_residual", 0, 0},
};

std::optional<double> NumberOf(const GgufValue& value) {
  struct Visitor {
    std::optional<double> operator()(int64_t v) const { return static_cast<double>(v); }
    std::optional<double> operator()(uint64_t v) const { return static_cast<double>(v); }
    std::optional<double> operator()(double v) const { return v; }
    std::optional<double> operator()(bool v) const { return v ? 1.0 : 0.0; }
    std::optional<double> operator()(const std::string&) const { return std::nullopt; }
    std::optional<double> operator()(const GgufArray&) const { return std::nullopt; }
  };
  return std::visit(Visitor{}, value.value);
}

// Layers with a window may turn by a base of their own, which is neutral where it is the same.
Status RefuseUnreadWindowBase(const KeyReader& keys) {
  constexpr std::string_view kWindowBase = "rope.freq_base_swa";
  if (!keys.Has(kWindowBase) || keys.HasRead(kWindowBase)) return Status();
  FORGE_ASSIGN_OR_RETURN(const double base, keys.PositiveOr("rope.freq_base", 10000));
  FORGE_ASSIGN_OR_RETURN(const double window_base, keys.PositiveOr(kWindowBase, base));
  if (window_base == base) return Status();
  return UnsupportedField(
      "the engine does not give layers with a window a base of their own in a model of this family",
      keys.Field(kWindowBase));
}

}  // namespace

Status RefuseUnreadKeys(const KeyReader& keys) {
  for (const ChangingKey& key : kChangingKeys) {
    const GgufValue* const value = keys.metadata().Find(keys.Key(key.name));
    if (value == nullptr || keys.HasRead(key.name)) continue;
    const std::optional<double> number = NumberOf(*value);
    if (!number && value->type != GgufType::kArray)
      return InvalidField("the key needs a number", keys.Field(key.name));
    if (!number || (*number != key.neutral && *number != key.also_neutral))
      return UnsupportedField(
          "the engine does not support what this key asks for in a model of this family",
          keys.Field(key.name));
  }
  return RefuseUnreadWindowBase(keys);
}

}  // namespace forge
