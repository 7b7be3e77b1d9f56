#pragma once

#include <cstdint>

#include "kernels/api/activation.h"
#include "kernels/api/causal_conv.h"
#include "kernels/api/combine_experts.h"
#include "kernels/api/delta_rule.h"
#include "kernels/api/join_columns.h"
#include "kernels/api/multiply_columns.h"
#include "kernels/api/ragged_batch.h"
#include "kernels/api/route_experts.h"
#include "kernels/api/sigmoid_gate.h"
#include "kernels/api/state_space.h"

// The ops in double precision, written as their formulas read and without regard to speed: what
// kernel tests compare with. Inputs are the float32 numbers that a kernel is given.
namespace forge {

// See RmsNormArgs. x: [n_rows, dim], weight: [dim], residual: [n_rows, dim] or null,
// y: [n_rows, dim].
void ReferenceRmsNorm(const float* x, const float* weight, const float* residual, double* y,
                      int64_t n_rows, int64_t dim, double epsilon);

// The same of a centred norm. bias: [dim], or null.
void ReferenceLayerNorm(const float* x, const float* weight, const float* bias,
                        const float* residual, double* y, int64_t n_rows, int64_t dim,
                        double epsilon);

// See Rotation. x and y: [n_tokens, n_heads, head_dim], positions: [n_tokens].
struct ReferenceRopeShape {
  int64_t n_tokens;
  int64_t n_heads;
  int64_t head_dim;
  int64_t rotary_dim;
  bool halves;
};
void ReferenceRope(const float* x, const int32_t* positions, const float* frequencies, double scale,
                   double* y, const ReferenceRopeShape& shape);

// What a cache of `dtype` holds of a number: itself, or the nearest binary16 or bfloat16, ties to
// even. REQUIRES: not kQ8_0, which holds no number alone.
double ReferenceKvElement(float value, KvDType dtype);

// What a cache of `dtype` holds of adjacent dimensions. kQ8_0, for each 32: code * scale, the scale
// being the binary16 next to the float32 quotient of the greatest magnitude and 127, and the code
// the integer next to the float32 quotient of the value and the scale, within [-127, 127].
// REQUIRES: for kQ8_0, n is a multiple of 32 and the values are finite.
void ReferenceKvElements(const float* values, int64_t n, KvDType dtype, double* held);

// Attention of one query token over positions [0, n_positions) of its sequence; see AttentionArgs.
// q: [n_heads, head_dim], keys: [n_positions, n_kv_heads, head_dim],
// values: [n_positions, n_kv_heads, value_dim], y: [n_heads, value_dim].
struct ReferenceAttentionShape {
  int64_t n_positions;
  int64_t n_heads;
  int64_t n_kv_heads;
  int64_t head_dim;
  int64_t value_dim;
  double soft_cap = 0.0;         // 0: none
  int64_t window = 0;            // 0: all
  const float* sinks = nullptr;  // [n_heads], or null
};
void ReferenceAttention(const float* q, const double* keys, const double* values, double scale,
                        double* y, const ReferenceAttentionShape& shape);

// See Activation. All: [n].
void ReferenceGatedActivation(Activation activation, const float* gate, const float* up, double* y,
                              int64_t n);

// See SoftCapArgs. x, y: [n].
void ReferenceSoftCap(const float* x, double* y, int64_t n, double cap);

// See RouteExpertsArgs, of which `experts` and `weights` are not used. experts and weights:
// [n_tokens, n_used]. REQUIRES: no logit and no bias is NaN.
void ReferenceRouteExperts(const RouteExpertsArgs& args, int32_t* experts, double* weights);

// See CombineExpertsArgs, of which `y` is not used. y: [n_tokens, dim].
void ReferenceCombineExperts(const CombineExpertsArgs& args, double* y);

// See TopLogitsArgs. x: [n_rows, n_cols], columns: [n_rows, k], log_sum_exp: [n_rows].
// REQUIRES: no x is NaN, and the greatest of each row is finite.
void ReferenceTopLogits(const float* x, int64_t n_rows, int64_t n_cols, int64_t k, int32_t* columns,
                        double* log_sum_exp);

// See GatherRowsArgs. x: [.., dim], rows: [n_rows], y: [n_rows, dim].
void ReferenceGatherRows(const float* x, const int32_t* rows, double* y, int64_t n_rows,
                         int64_t dim);

// See JoinColumnsArgs, whose own y is not looked at. y: [n_rows, columns of both parts].
void ReferenceJoinColumns(const JoinColumnsArgs& args, double* y);

// See SigmoidGateArgs, whose own y is not looked at. y: [n_rows, gate.n_cols].
void ReferenceSigmoidGate(const SigmoidGateArgs& args, double* y);

// See MultiplyColumnsArgs, whose own y is not looked at. y: [n_rows, factor.n_cols].
void ReferenceMultiplyColumns(const MultiplyColumnsArgs& args, double* y);

// See CausalConvArgs, whose arrays are of the first n_tokens of one sequence. Its batch, its state
// and its own y are not looked at. y: [n_tokens, n_channels].
void ReferenceCausalConv(const CausalConvArgs& args, int64_t n_tokens, double* y);

// See DeltaRuleArgs, whose arrays are of the first n_tokens of one sequence. Its batch, its state
// and its own y are not looked at. y: [n_tokens, n_value_heads, head_dim].
void ReferenceDeltaRule(const DeltaRuleArgs& args, int64_t n_tokens, double* y);

// See StateSpaceArgs, as above. y: [n_tokens, n_heads, head_dim].
void ReferenceStateSpace(const StateSpaceArgs& args, int64_t n_tokens, double* y);

}  // namespace forge
