#include "engine/model/rope_frequencies.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <optional>
#include <string>

namespace forge {
namespace {

Status Invalid(std::string_view rule, std::string_view field, double value) {
  return InvalidArgument(std::string(rule) + ": " + std::string(field) + " = " +
                         std::to_string(value))
      .WithReason("MODEL_FILE_INVALID")
      .WithDetail("field", field)
      .WithDetail("value", std::string_view(std::to_string(value)));
}

Status CheckPositive(std::string_view field, double value) {
  if (std::isfinite(value) && value > 0.0) return Status();
  return Invalid("rotary embedding needs a positive, finite number", field, value);
}

Status CheckConfig(const RopeConfig& config, std::span<const float> factors) {
  if (config.dimension == 0 || config.dimension % 2 != 0)
    return Invalid("rotary embedding needs an even number of dimensions", "rope.dimension_count",
                   config.dimension);
  FORGE_TRY(CheckPositive("rope.freq_base", config.base));
  FORGE_TRY(CheckPositive("rope.scaling.attn_factor", config.attn_factor));
  if (config.scaling != RopeScaling::kNone)
    FORGE_TRY(CheckPositive("rope.scaling.factor", config.factor));
  if (config.scaling == RopeScaling::kYarn) {
    FORGE_TRY(CheckPositive("rope.scaling.original_context_length", config.original_context));
    FORGE_TRY(CheckPositive("rope.scaling.yarn_beta_fast", config.yarn_beta_fast));
    FORGE_TRY(CheckPositive("rope.scaling.yarn_beta_slow", config.yarn_beta_slow));
    if (!std::isfinite(config.yarn_ext_factor))
      return Invalid("YaRN needs a finite number", "rope.scaling.yarn_ext_factor",
                     config.yarn_ext_factor);
    if (!std::isfinite(config.yarn_log_multiplier) || config.yarn_log_multiplier < 0.0)
      return Invalid("YaRN needs a finite number that is not negative",
                     "rope.scaling.yarn_log_multiplier", config.yarn_log_multiplier);
    if (config.base == 1.0)
      return Invalid("YaRN needs frequencies that differ", "rope.freq_base", config.base);
  }
  if (!factors.empty() && factors.size() != config.dimension / 2)
    return Invalid("a model needs one frequency factor for each two rotated dimensions (" +
                       std::to_string(config.dimension / 2) + ")",
                   "rope_freqs.weight (elements)", static_cast<double>(factors.size()));
  for (const float factor : factors) FORGE_TRY(CheckPositive("rope_freqs.weight", factor));
  return Status();
}

// The dimension pair that turns `n_turns` times over the original context; arXiv:2309.00071,
// equation 17 solved for the index of the pair.
double PairWithTurns(const RopeConfig& config, double n_turns) {
  const double wavelength = config.original_context / n_turns;
  return config.dimension * std::log(wavelength / (2.0 * std::numbers::pi)) /
         (2.0 * std::log(config.base));
}

// How much of its own frequency each pair keeps; the rest is interpolated.
class YarnRamp {
 public:
  // The borders are widened to whole pairs, as the models' authors and llama.cpp do.
  explicit YarnRamp(const RopeConfig& config)
      : first_(std::max(0.0, std::floor(PairWithTurns(config, config.yarn_beta_fast)))),
        last_(std::min(config.dimension - 1.0,
                       std::ceil(PairWithTurns(config, config.yarn_beta_slow)))),
        ext_factor_(config.yarn_ext_factor) {}

  double At(uint32_t pair) const {
    const double width = std::max(0.001, last_ - first_);
    return (1.0 - std::clamp((pair - first_) / width, 0.0, 1.0)) * ext_factor_;
  }

 private:
  double first_, last_;
  double ext_factor_;
};

}  // namespace

Result<RopeTable> ComputeRopeTable(const RopeConfig& config, std::span<const float> factors) {
  FORGE_TRY(CheckConfig(config, factors));
  const uint32_t n_pairs = config.dimension / 2;
  RopeTable table;
  table.frequencies.resize(n_pairs);
  const bool is_yarn = config.scaling == RopeScaling::kYarn;
  const bool interpolates = is_yarn || config.scaling == RopeScaling::kLinear;
  const double interpolation = interpolates ? 1.0 / config.factor : 1.0;
  std::optional<YarnRamp> ramp;
  if (is_yarn) ramp.emplace(config);
  for (uint32_t i = 0; i < n_pairs; ++i) {
    double theta = std::pow(config.base, -2.0 * i / config.dimension);
    if (!factors.empty()) theta /= factors[i];
    const double kept = ramp ? ramp->At(i) : 0.0;
    table.frequencies[i] = static_cast<float>(theta * (kept + (1.0 - kept) * interpolation));
  }
  if (config.scaling == RopeScaling::kLongRope)
    table.scale = static_cast<float>(config.attn_factor);
  if (is_yarn) {
    // Without extrapolation YaRN is plain interpolation, whose attention needs no correction.
    const bool corrects = config.yarn_ext_factor != 0.0 && config.factor > 1.0;
    const double growth = corrects ? 0.1 * std::log(config.factor) : 0.0;
    table.scale = static_cast<float>(config.attn_factor * (1.0 + growth) /
                                     (1.0 + config.yarn_log_multiplier * growth));
  }
  return table;
}

}  // namespace forge
