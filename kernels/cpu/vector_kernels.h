#pragma once

#include <cstdint>

#include "kernels/api/activation.h"
#include "kernels/cpu/cpu_features.h"

namespace forge {

// Adjacent positions of one KV head that lie in the same cache block.
struct KvSegment {
  const void* keys;    // [head_dim, key_stride]; element (d, j) is dimension d of position j
  const void* values;  // [n, value_dim], or, in keys, [value_dim, key_stride]
  // binary16, of kQ8_0 only: [head_dim / 32, key_stride] and [n, value_dim / 32], or, in keys,
  // [value_dim / 32, key_stride].
  const uint16_t* key_scales;
  const uint16_t* value_scales;
  int n;
};

// Positions of the cache that attention handles at a time, counted from position 0 of a sequence.
// Scores of a partition stay in the first-level cache: kTileRows * 1 KiB.
constexpr int kAttentionPartition = 256;

// Softmax attention of some query rows of one KV head over one partition. Row r is query head
// r % group of the block's token r / group.
struct AttentionPartition {
  const KvSegment* segments;  // [n_segments + n_next]
  int n_segments;
  int n_next;  // segments behind the others that are likely to be read next: fetched ahead
  int64_t key_stride;
  int head_dim;
  int value_dim;
  bool values_in_keys;  // then there is no window
  float scale;
  float soft_cap;  // 0: none
  int64_t window;  // 0: none

  const float* q;  // row (token t, head h) at t * q_token_stride + h * head_dim
  int64_t q_token_stride;
  int n_tokens;
  int group;
  const int32_t* positions;  // [n_tokens], the last that each sees, not falling
  int64_t first_position;    // of the partition
  int first_column;          // the segments start at this position of the partition

  // With m the row's greatest score and p[j] = exp(s[j] - m) of each position that the row may see:
  float* sums;    // [rows, value_dim], sum_j p[j] * value[j]
  float* maxima;  // [rows], m; -inf where the row sees nothing of the partition
  float* totals;  // [rows], sum_j p[j]
};

// One token of a CombineExpertsArgs.
struct CombineExpertsRow {
  const float* x;            // [n_used, dim]
  const float* weights;      // [n_used]
  const float* shared;       // [dim], or null
  const float* shared_gate;  // [1], or null
  const float* residual;     // [dim], or null; may be `y`
  float* y;                  // [dim]
  int n_used;
  int64_t dim;
};

// What one row of attention has gathered from the partitions before.
struct AttentionState {
  float maximum;
  float total;
};

// A norm of rows, as RmsNormArgs has it.
struct RowNorm {
  const float* weight;  // [dim], or null
  const float* bias;    // [dim], or null
  float epsilon;
  bool is_centred;
  const float* sum_scale = nullptr;  // [1], or null
};

// Some channels of one token of a CausalConvArgs.
struct ConvToken {
  const float* const* rows;  // [n_taps] of [n], what is convolved, the oldest first
  const float* weights;      // [n_taps, n]
  const float* bias;         // [n], or null
  const float* gate;         // [n], or null: SiLU
  float* y;                  // [n], may be `gate`
  int n_taps;
  int64_t n;
};

// Some tokens of one sequence and one head that remembers a matrix S, in order: of each token
//   S = decay S + key (rate change)^T,   y = S^T query
// where the change is the value, or under the delta rule value - decay S^T key.
//
// A state is cut into parts of kStateColumns columns, the last maybe narrower, which lie one after
// the other, each as [key_dim, columns of the part]: all tokens go over a part before the next is
// touched, so that it stays in the first-level cache.
constexpr int kStateColumns = 32;
struct StateTokens {
  int n_tokens;
  int64_t key_dim;
  int64_t value_dim;
  float* state;       // [key_dim * value_dim], in place
  const float* keys;  // row of token t at t * key_stride, as of queries
  const float* queries;
  int64_t key_stride;
  const float* values;  // row of token t at t * value_stride
  int64_t value_stride;
  const float* decays;  // [n_tokens]
  const float* rates;   // [n_tokens]
  float* y;             // [n_tokens, value_dim]
};

// y[i] = activation(gate[i], up[i]). `y` may be `gate` or `up`.
using GatedKernel = void (*)(const float* gate, const float* up, float* y, int64_t n);

// The inner loops of the CPU's ops, compiled once for each instruction set. They run on the calling
// thread. Each output depends on its own row only, bit for bit, whatever is computed beside it.
struct VectorKernels {
  // Of a norm that is not centred; `residual` may be null. See RmsNormArgs.
  void (*rms_norm)(const float* x, const RowNorm& norm, const float* residual, float* y,
                   int64_t dim);
  // The same of a centred norm, with or without a bias.
  void (*layer_norm)(const float* x, const RowNorm& norm, const float* residual, float* y,
                     int64_t dim);
  GatedKernel gated_activation[kActivations];  // [Activation]
  GatedKernel sigmoid_gate;                    // y[i] = up[i] * sigmoid(gate[i])
  void (*soft_cap)(const float* x, float* y, int64_t n, float cap);
  // y[i] = exp(x[i] - shift)
  void (*exponentials)(const float* x, float shift, float* y, int64_t n);
  // maxima[g] is the greatest of x[g * group .. (g + 1) * group), fewer at the end of the n; NaNs
  // do not count. -infinity where there is none.
  void (*group_maxima)(const float* x, int64_t n, int64_t group, float* maxima);
  void (*combine_experts)(const CombineExpertsRow&);
  // Rotates the pairs (a[i], b[i]).
  void (*rotate_halves)(float* a, float* b, const float* cosines, const float* sines,
                        int64_t n_pairs);
  // Rotates the pairs (x[2i], x[2i + 1]); cosines[2i] = cosines[2i + 1] = cos, sines[2i] = -sin,
  // sines[2i + 1] = sin.
  void (*rotate_neighbours)(float* x, const float* cosines, const float* sines, int64_t n_pairs);
  // Rounds to binary16.
  void (*to_half)(const float* x, uint16_t* y, int64_t n);
  void (*to_bf16)(const float* x, uint16_t* y, int64_t n);
  // Rounds each 32 values to int8 codes and a binary16 scale: the scale is the rounded float32
  // quotient of the greatest magnitude and 127, a code the integer next to the float32 quotient of
  // value and scale, ties to even, within [-127, 127]. A block with an infinity or NaN gets the
  // scale NaN, so that it shows. REQUIRES: n is a multiple of 32.
  void (*to_q8)(const float* x, int8_t* codes, uint16_t* scales, int64_t n);

  void (*convolve)(const ConvToken&);
  // y = x * scale / sqrt(|x|^2 + epsilon)
  void (*normalize)(const float* x, float* y, int64_t n, float scale, float epsilon);
  void (*state_tokens)(const StateTokens&);
  void (*delta_tokens)(const StateTokens&);  // under the delta rule
  // y = x / rms(x) * weight * silu(gate). `y` may be `gate`.
  void (*gated_norm)(const float* x, const float* weight, const float* gate, float* y, int64_t dim,
                     float epsilon);

  void (*attend[4])(const AttentionPartition&);  // [KvDType]
  // Adds a partition's row to what was gathered: state and y[value_dim].
  void (*merge_partition)(const float* sums, float maximum, float total, AttentionState& state,
                          float* y, int64_t value_dim);
  // y /= total.
  void (*finish_row)(float* y, float total, int64_t value_dim);
};

inline void NormRow(const VectorKernels& kernels, const float* x, const RowNorm& norm,
                    const float* residual, float* y, int64_t dim) {
  if (norm.is_centred) return kernels.layer_norm(x, norm, residual, y, dim);
  kernels.rms_norm(x, norm, residual, y, dim);
}

// REQUIRES: this processor has `level`.
const VectorKernels& VectorKernelsFor(CpuLevel level);

extern const VectorKernels kPortableVectorKernels;
#if defined(__x86_64__)
extern const VectorKernels kAvx2VectorKernels;
extern const VectorKernels kAvx512VectorKernels;
#endif

}  // namespace forge
