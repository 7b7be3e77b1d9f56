#include <optional>
#include <string>
#include <vector>

#include "engine/arch/config_parts.h"

namespace forge {
namespace {

constexpr std::string_view kWindow = "attention.sliding_window";
constexpr std::string_view kPattern = "attention.sliding_window_pattern";

}  // namespace

Status ReadWindowOfAllLayers(const KeyReader& keys, ModelConfig& config) {
  // Converters write 0 for a model without a window.
  FORGE_ASSIGN_OR_RETURN(const uint32_t window, keys.OptionalOr(kWindow, 0, {0, 0xffffffff}));
  if (window == 0 || window >= config.n_context_train) return Status();
  config.window = window;
  config.windowed.assign(config.n_layers, true);
  return Status();
}

Status ReadWindowPattern(const KeyReader& keys, const WindowTraits& traits, ModelConfig& config) {
  if (traits.default_window == 0) {
    FORGE_ASSIGN_OR_RETURN(config.window, keys.Required(kWindow, kContextRange));
  } else {
    FORGE_ASSIGN_OR_RETURN(config.window,
                           keys.OptionalOr(kWindow, traits.default_window, kContextRange));
  }
  FORGE_ASSIGN_OR_RETURN(const std::optional<std::vector<bool>> flags,
                         keys.FlagsOfLayers(kPattern, config.n_layers));
  if (flags) {
    config.windowed = *flags;
    return Status();
  }
  FORGE_ASSIGN_OR_RETURN(const uint32_t period,
                         keys.OptionalOr(kPattern, traits.period, {1, 0xffff}));
  for (uint32_t layer = 0; layer < config.n_layers; ++layer)
    config.windowed.push_back(layer % period != period - 1);
  return Status();
}

Status ReadWindowOfNamedLayers(const KeyReader& keys, ModelConfig& config) {
  FORGE_ASSIGN_OR_RETURN(config.window, keys.Required(kWindow, kContextRange));
  FORGE_ASSIGN_OR_RETURN(const std::optional<std::vector<bool>> flags,
                         keys.FlagsOfLayers(kPattern, config.n_layers));
  if (!keys.Has(kPattern)) return MissingField("the key is required", keys.Key(kPattern));
  if (!flags)
    return InvalidField(
        "the key needs true or false for each of " + std::to_string(config.n_layers) + " layers",
        keys.Field(kPattern));
  config.windowed = *flags;
  return Status();
}

Status ReadWindowPatternIfAny(const KeyReader& keys, uint32_t period, ModelConfig& config) {
  FORGE_ASSIGN_OR_RETURN(const uint32_t window,
                         keys.OptionalOr(kWindow, 0, {0, kContextRange.max}));
  if (window == 0) return Status();
  return ReadWindowPattern(keys, {.default_window = 0, .period = period}, config);
}

}  // namespace forge
