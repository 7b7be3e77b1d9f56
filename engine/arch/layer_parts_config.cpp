#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "engine/arch/config_parts.h"

namespace forge {

Status ReadKvHeadsOfLayers(const KeyReader& keys, ModelConfig& config) {
  constexpr std::string_view kName = "attention.head_count_kv";
  FORGE_ASSIGN_OR_RETURN(const std::optional<std::vector<uint64_t>> heads, keys.Unsigned(kName));
  if (!heads) return MissingField("its numbers tell which layers are recurrent", keys.Key(kName));
  if (heads->size() != config.n_layers)
    return InvalidField(
        "the key needs a number of each of the " + std::to_string(config.n_layers) + " layers",
        keys.Field(kName));
  for (const uint64_t n : *heads) {
    config.parts.push_back({.mixer = n == 0 ? Mixer::kRecurrent : Mixer::kAttention});
    if (n == 0) continue;
    if (n > config.n_heads || (config.n_kv_heads != 0 && n != config.n_kv_heads))
      return UnsupportedField("all layers with KV heads have equally many, and no more than heads",
                              keys.Field(kName));
    config.n_kv_heads = static_cast<uint32_t>(n);
  }
  if (config.n_kv_heads == 0)
    return UnsupportedField("a layer or more has attention over all positions", keys.Field(kName));
  if (config.n_heads % config.n_kv_heads == 0) return Status();
  return InvalidField("the KV heads divide the " + std::to_string(config.n_heads) + " heads",
                      keys.Field(kName));
}

Status ReadNetsOfSingleParts(const KeyReader& keys, ModelConfig& config) {
  constexpr std::string_view kName = "feed_forward_length";
  FORGE_ASSIGN_OR_RETURN(const std::optional<std::vector<uint32_t>> lengths,
                         keys.OfLayers(kName, config.n_layers, {0, kFeedForwardRange.max}));
  if (!lengths)
    return MissingField("its numbers tell which layers are a feed-forward net", keys.Key(kName));
  config.n_ff = *std::max_element(lengths->begin(), lengths->end());
  if (config.n_ff == 0)
    return UnsupportedField("a layer or more is a feed-forward net", keys.Field(kName));
  for (uint32_t layer = 0; layer < config.n_layers; ++layer) {
    const uint32_t length = (*lengths)[layer];
    LayerParts& parts = config.parts[layer];
    parts.has_net = length != 0;
    if (!parts.has_net) continue;
    if (parts.mixer == Mixer::kAttention)
      return UnsupportedField("layers of this family that have KV heads are no feed-forward net",
                              keys.Element(kName, length));
    parts.mixer = Mixer::kNone;
  }
  config.n_ff_of_layers = *lengths;
  return Status();
}

}  // namespace forge
