#pragma once

#include <span>
#include <vector>

#include "engine/arch/model_config.h"
#include "kernels/base/result.h"

namespace forge {

// What rotary embedding multiplies positions and heads with; the same for every layer.
struct RopeTable {
  std::vector<float> frequencies;  // [dimension / 2], radians per position
  float scale = 1.0f;              // magnitude of the rotated elements: YaRN's attention factor
};

// Computes the table in double precision. `factors`: the model's own divisors of the frequencies
// (rope_freqs.weight, rope_factors_{long,short}.weight), one for each, or empty.
//
// With theta[i] = base^(-2i / dimension) / factors[i]:
//   none:    theta[i]
//   long RoPE: theta[i]; the scale is attn_factor
//   linear:  theta[i] / factor
//   YaRN:    theta[i] * (ramp[i] + (1 - ramp[i]) / factor), Peng et al., arXiv:2309.00071, section
//            3.2. ramp is 1 for the dimensions that turn more than beta_fast times in the original
//            context, 0 for those that turn less than beta_slow times, times ext_factor. The scale
//            is attn_factor * (1 + 0.1 ln factor), the paper's sqrt(1/t), section 3.4, divided by
//            1 + log_multiplier * 0.1 ln factor, with which some models undo it (mscale_all_dim).
//
// kInvalidArgument (reason MODEL_FILE_INVALID) for a dimension that is 0 or odd, a base or factor
// that is not positive and finite, YaRN without an original context, or a wrong number of factors.
Result<RopeTable> ComputeRopeTable(const RopeConfig& config, std::span<const float> factors);

}  // namespace forge
