#include <immintrin.h>

#include "kernels/cpu/amx_tiles.h"
#include "kernels/cpu/attention_panel.h"
#include "kernels/cpu/simd_avx512.h"
#include "kernels/cpu/vector_math.inl"

// Compiled for AVX-512 and AMX-BF16. Everything here has internal linkage or is always inlined: a
// shared inline function compiled in this file might be linked into code for lesser processors.

namespace forge {
namespace {

// A step of the loops: so many positions or dimensions, two tiles of 16 or the columns of one.
constexpr int kStep = 32;
constexpr int kSteps = kAttentionPartition / kStep;  // of positions
constexpr int kMaxDimSteps = kMaxPanelHeadDim / kStep;
constexpr int kRowTiles = kAttentionPanelRows / 16;
constexpr int64_t kDigitBytes = kPanelTileTokens * kPanelDigitBytes;

// A row's scores, and later its weights: first digits of all positions, then second ones. Longer
// than what it holds, so that the rows of a tile lie in different sets of the cache.
struct alignas(64) ScoreRow {
  float scores[kAttentionPartition + 16];
};
constexpr int64_t kSecondWeights = 2 * kAttentionPartition;  // bytes from the row's start

// --- The number formats of the cache: 16 keys of one dimension, and 16 dimensions of one value

struct F16Cache {
  using Element = uint16_t;
  static constexpr int kDigits = 2;
  static Vec Key(const KvSegment& segment, int64_t stride, int64_t d, int j) {
    return LoadHalf(static_cast<const Element*>(segment.keys) + d * stride + j);
  }
  static Vec Value(const KvSegment& segment, int64_t value_dim, int j, int64_t d) {
    return LoadHalf(static_cast<const Element*>(segment.values) + j * value_dim + d);
  }
};

struct Bf16Cache {
  using Element = uint16_t;
  static constexpr int kDigits = 1;
  static Vec Key(const KvSegment& segment, int64_t stride, int64_t d, int j) {
    return forge::LoadBf16(static_cast<const Element*>(segment.keys) + d * stride + j);
  }
  static Vec Value(const KvSegment& segment, int64_t value_dim, int j, int64_t d) {
    return forge::LoadBf16(static_cast<const Element*>(segment.values) + j * value_dim + d);
  }
};

struct Q8Cache {
  using Element = int8_t;
  static constexpr int kDigits = 2;
  static Vec Key(const KvSegment& segment, int64_t stride, int64_t d, int j) {
    return LoadInt8(static_cast<const Element*>(segment.keys) + d * stride + j) *
           LoadHalf(segment.key_scales + d / kKvBlockElements * stride + j);
  }
  static Vec Value(const KvSegment& segment, int64_t value_dim, int j, int64_t d) {
    const uint16_t* scales = segment.value_scales + j * (value_dim / kKvBlockElements);
    return LoadInt8(static_cast<const Element*>(segment.values) + j * value_dim + d) *
           Set(HalfAt(scales + d / kKvBlockElements));
  }
};

// The segment that holds the positions from 32 * step on, and where they begin in it.
struct SegmentPlace {
  const KvSegment* segment;
  int first;
};
SegmentPlace FindStep(const AttentionPartition& a, int step) {
  int first = step * kStep;
  const KvSegment* segment = a.segments;
  while (first >= segment->n) first -= (segment++)->n;
  return {segment, first};
}

// Query rows as tiles, [tile][dimensions / 32][digit]; rows behind the last are 0.
struct Queries {
  alignas(64) std::byte tiles[kRowTiles * kMaxDimSteps * 2 * kDigitBytes];
};

void RoundQueries(const AttentionPartition& a, int n_tiles, int64_t n_dim_steps, Queries& queries) {
  static constexpr float kZeros[kMaxPanelHeadDim] = {};
  const int n_rows = a.n_tokens * a.group;
  for (int row = 0; row < 16 * n_tiles; ++row) {
    const float* q = kZeros;
    if (row < n_rows)
      q = a.q + row / a.group * a.q_token_stride + static_cast<int64_t>(row % a.group) * a.head_dim;
    RoundRow(q, a.head_dim, row % 16, 2, queries.tiles + row / 16 * n_dim_steps * 2 * kDigitBytes);
  }
}

// Three products stand for one: the fourth, of both second digits, is below what rounding lost.
template <int kTokens, int kRows, int kDigits>
[[gnu::always_inline]] inline void MultiplyDigits(const std::byte* first_digits,
                                                  const std::byte* second_digits, int64_t next,
                                                  int64_t stride, const Bf16Tile (&first)[kDigits],
                                                  const Bf16Tile (&second)[kDigits]) {
  MultiplyTiles<kTokens, kRows>(first_digits, next, stride, first[0], second[0]);
  MultiplyTiles<kTokens, kRows>(second_digits, next, stride, first[0], second[0]);
  if constexpr (kDigits == 2)
    MultiplyTiles<kTokens, kRows>(first_digits, next, stride, first[1], second[1]);
}

// Products of all rows with the keys of 32 positions.
template <typename Cache>
void Score(const AttentionPartition& a, int step, int n_tiles, int64_t n_dim_steps,
           const Queries& queries, ScoreRow* rows) {
  alignas(64) Bf16Tile keys[kMaxDimSteps][2][Cache::kDigits];  // [dimensions / 32][positions / 16]
  const SegmentPlace at = FindStep(a, step);
  for (int64_t d = 0; d < n_dim_steps * kStep; d += 2) {
    for (int half = 0; half < 2; ++half) {
      const int j = at.first + 16 * half;
      const bool is_there = d < a.head_dim;  // it is a multiple of 2
      const Vec even = is_there ? Cache::Key(*at.segment, a.key_stride, d, j) : Vec{};
      const Vec odd = is_there ? Cache::Key(*at.segment, a.key_stride, d + 1, j) : Vec{};
      StorePair(even, odd, static_cast<int>(d % kStep / 2), keys[d / kStep][half]);
    }
  }
  FenceTiles();
  const int64_t tile_bytes = n_dim_steps * 2 * kDigitBytes;
  constexpr int64_t kRowFloats = sizeof(ScoreRow) / sizeof(float);
  const auto multiply = [&]<int kTokens>(int tile) __attribute__((always_inline)) {
    const std::byte* q = queries.tiles + tile * tile_bytes;
    ZeroSums<kTokens, 2>();
    for (int64_t i = 0; i < n_dim_steps; ++i, q += 2 * kDigitBytes)
      MultiplyDigits<kTokens, 2>(q, q + kDigitBytes, tile_bytes, kPanelDigitBytes, keys[i][0],
                                 keys[i][1]);
    float* const scores = rows[16 * tile].scores + step * kStep;
    StoreSums<kTokens, 2>(scores, scores + 16, 16 * kRowFloats, sizeof(ScoreRow));
  };
  int tile = 0;
  for (; tile + 2 <= n_tiles; tile += 2) multiply.template operator()<2>(tile);
  if (tile < n_tiles) multiply.template operator()<1>(tile);
  FenceTiles();
}

// Turns a row's products into exp(score - maximum), in two digits.
void Exponentiate(const AttentionPartition& a, int index, ScoreRow& row) {
  alignas(64) float scores[kAttentionPartition];
  const bool has_cap = a.soft_cap != 0.0f;
  Vec maxima = Set(-__builtin_inff());
  for (int j = 0; j < kAttentionPartition; j += kLanes) {
    Vec score = Load(row.scores + j) * Set(a.scale);
    if (has_cap) score = SoftCap(score, Set(a.soft_cap));
    Store(scores + j, score);
    maxima = Max(maxima, score);
  }
  const float maximum = MaxOfLanes(maxima);
  Vec totals = {};
  auto* const weights = reinterpret_cast<std::byte*>(row.scores);
  for (int j = 0; j < kAttentionPartition; j += kStep) {
    const Vec low = Exp(Load(scores + j) - Set(maximum));
    const Vec high = Exp(Load(scores + j + kLanes) - Set(maximum));
    totals += low + high;
    StoreRounded(low, high, weights + 2 * j, weights + kSecondWeights + 2 * j);
  }
  a.maxima[index] = maximum;
  a.totals[index] = Sum(totals);
}

// The weighted sums of dimensions [first, first + 16 * kRows) of all values.
template <typename Cache, int kRows>
void AddValues(const AttentionPartition& a, int64_t first, int n_tiles, const ScoreRow* rows) {
  alignas(64) Bf16Tile values[kSteps][2][Cache::kDigits];  // [positions / 32][dimensions / 16]
  for (int step = 0; step < kSteps; ++step) {
    const SegmentPlace at = FindStep(a, step);
    for (int j = 0; j < kStep; j += 2)
      for (int half = 0; half < kRows; ++half)
        StorePair(Cache::Value(*at.segment, a.value_dim, at.first + j, first + 16 * half),
                  Cache::Value(*at.segment, a.value_dim, at.first + j + 1, first + 16 * half),
                  j / 2, values[step][half]);
  }
  FenceTiles();
  const auto multiply = [&]<int kTokens>(int tile) __attribute__((always_inline)) {
    const auto* weights = reinterpret_cast<const std::byte*>(rows[16 * tile].scores);
    ZeroSums<kTokens, kRows>();
    for (int step = 0; step < kSteps; ++step, weights += kPanelDigitBytes)
      MultiplyDigits<kTokens, kRows>(weights, weights + kSecondWeights, 16 * sizeof(ScoreRow),
                                     sizeof(ScoreRow), values[step][0], values[step][kRows - 1]);
    float* const sums = a.sums + 16 * tile * int64_t{a.value_dim} + first;
    StoreSums<kTokens, kRows>(sums, sums + 16, 16 * int64_t{a.value_dim},
                              a.value_dim * static_cast<int64_t>(sizeof(float)));
  };
  int tile = 0;
  for (; tile + 2 <= n_tiles; tile += 2) multiply.template operator()<2>(tile);
  if (tile < n_tiles) multiply.template operator()<1>(tile);
  FenceTiles();
}

template <typename Cache>
void AttendPanel(const AttentionPartition& a) {
  ScoreRow rows[kAttentionPanelRows];
  Queries queries;
  const int n_rows = a.n_tokens * a.group;
  const int n_tiles = (n_rows + 15) / 16;
  const int64_t n_dim_steps = (a.head_dim + kStep - 1) / kStep;
  _tile_loadconfig(&kTileConfig);
  RoundQueries(a, n_tiles, n_dim_steps, queries);
  for (int step = 0; step < kSteps; ++step)
    Score<Cache>(a, step, n_tiles, n_dim_steps, queries, rows);
  for (int row = 0; row < n_rows; ++row) Exponentiate(a, row, rows[row]);
  int64_t d = 0;
  for (; d + kStep <= a.value_dim; d += kStep) AddValues<Cache, 2>(a, d, n_tiles, rows);
  if (d < a.value_dim) AddValues<Cache, 1>(a, d, n_tiles, rows);
  _tile_release();
}

}  // namespace

const AttendPanelKernel kAttendPanelAmx[kKvDTypes] = {AttendPanel<F16Cache>, nullptr,
                                                      AttendPanel<Bf16Cache>, AttendPanel<Q8Cache>};

}  // namespace forge
