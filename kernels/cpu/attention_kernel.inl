// Attention of query rows over one partition of the cache; part of vector_kernels.inl.
//
// Scores take positions as lanes and values take dimensions as lanes, so that every step is a
// product of one broadcast number of a row with a vector of the cache: a vector is loaded (and
// widened) once for all rows of a tile, and no sum runs across lanes. A row's sums have the same
// order in every tile shape: over dimensions for a score, over positions for a value. Values that
// are in keys have positions as lanes too, and are added across lanes at the end of the partition.

namespace forge {
namespace {

// The number formats of the cache. With scales, an element is the product of what Load gives and
// the scale of its 32 dimensions; an int8 times a binary16 is exact in float32.
struct F32Cache {
  using Element = float;
  static constexpr bool kHasScales = false;
  static Vec Load(const float* from) { return forge::Load(from); }
  static Vec LoadFirst(const float* from, int n) { return forge::LoadFirst(from, n); }
};
struct F16Cache {
  using Element = uint16_t;
  static constexpr bool kHasScales = false;
  static Vec Load(const uint16_t* from) { return LoadHalf(from); }
  static Vec LoadFirst(const uint16_t* from, int n) { return LoadFirstHalf(from, n); }
};
struct Bf16Cache {
  using Element = uint16_t;
  static constexpr bool kHasScales = false;
  static Vec Load(const uint16_t* from) { return LoadBf16(from); }
  static Vec LoadFirst(const uint16_t* from, int n) { return LoadFirstBf16(from, n); }
};
struct Q8Cache {
  using Element = int8_t;
  static constexpr bool kHasScales = true;
  static Vec Load(const int8_t* from) { return LoadInt8(from); }
  static Vec LoadFirst(const int8_t* from, int n) { return LoadFirstInt8(from, n); }
};
constexpr int64_t kScaleDims = 32;

// Keys of adjacent positions, from dimension 0 on, and their scales where the format has them.
template <typename Cache>
struct KeyColumns {
  const typename Cache::Element* keys;
  const uint16_t* scales;
  KeyColumns(const KvSegment& segment, int j)
      : keys(static_cast<const typename Cache::Element*>(segment.keys) + j),
        scales(Cache::kHasScales ? segment.key_scales + j : nullptr) {}
};

// Up to kTileRows rows of a partition. A score row has room for a vector that starts at its end;
// its length keeps rows apart in the cache's sets.
struct RowTile {
  int first_row;
  const float* q[kTileRows];
  // The row sees columns [begin, end) of the partition; none if begin >= end.
  int begin[kTileRows];
  int end[kTileRows];
  int first_begin, last_begin;
  int first_end, last_end;
  alignas(64) float scores[kTileRows][kAttentionPartition + kLanes];
};

int ToColumn(int64_t offset) {
  if (offset < 0) return 0;
  return offset > kAttentionPartition ? kAttentionPartition : static_cast<int>(offset);
}

void SetUpTile(const AttentionPartition& a, int first_row, int n_rows, RowTile& tile) {
  tile.first_row = first_row;
  tile.first_begin = tile.first_end = kAttentionPartition;
  tile.last_begin = tile.last_end = 0;
  for (int r = 0; r < n_rows; ++r) {
    const int token = (first_row + r) / a.group;
    const int head = (first_row + r) % a.group;
    tile.q[r] = a.q + token * a.q_token_stride + static_cast<int64_t>(head) * a.head_dim;
    const int64_t position = a.positions[token];
    tile.end[r] = ToColumn(position + 1 - a.first_position);
    tile.begin[r] = a.window == 0 ? 0 : ToColumn(position - a.window + 1 - a.first_position);
    if (tile.begin[r] < tile.first_begin) tile.first_begin = tile.begin[r];
    if (tile.begin[r] > tile.last_begin) tile.last_begin = tile.begin[r];
    if (tile.end[r] < tile.first_end) tile.first_end = tile.end[r];
    if (tile.end[r] > tile.last_end) tile.last_end = tile.end[r];
  }
}

// What is read of the cache, piece by piece: the keys of each segment, then their values, and then
// the same of the segments that are read next. A piece is too short for the processor to learn its
// pattern, and the next one lies elsewhere: so while one is multiplied a later one is fetched, and
// the pages of one still later are asked for. 4096 positions of a layer from memory take 140 us,
// and 212 where only the next keys, or the next values, are fetched (32 heads, 8 KV heads, head_dim
// 64, f16; two Zen 5 cores, 2026-11).
template <typename Cache>
class Pieces {
 public:
  using Element = typename Cache::Element;

  explicit Pieces(const AttentionPartition& a)
      : a_(a),
        piece_bytes_(a.head_dim * a.key_stride * static_cast<int64_t>(sizeof(Element))),
        fetched_ahead_(2 * piece_bytes_ <= kFetchedAheadBytes ? 2 : 1),
        asked_ahead_(static_cast<int>(kAskedAheadBytes / piece_bytes_) + 1) {}

  // What to fetch while piece i is multiplied: of this one the same part.
  const Element* Fetched(int i) const {
    return static_cast<const Element*>(At(i + fetched_ahead_));
  }
  void AskForPages(int i) const {
    const char* const piece = static_cast<const char*>(At(i + asked_ahead_));
    for (int64_t at = 0; at < piece_bytes_; at += kPageBytes) PrefetchLine(piece + at);
  }

 private:
  static constexpr int64_t kFetchedAheadBytes = 16 << 10;
  static constexpr int64_t kAskedAheadBytes = 28 << 10;  // 36 KiB: 0.93 times as fast
  static constexpr int64_t kPageBytes = 4096;

  const void* At(int i) const {
    const int n_here = a_.values_in_keys ? a_.n_segments : 2 * a_.n_segments;
    if (i < n_here) return PieceOf(a_.segments, a_.n_segments, i);
    return PieceOf(a_.segments + a_.n_segments, a_.n_next, i - n_here);
  }
  // Beyond the last one, something that is in a cache.
  const void* PieceOf(const KvSegment* segments, int n_segments, int i) const {
    if (i < n_segments) return segments[i].keys;
    if (a_.values_in_keys || i >= 2 * n_segments) return a_.segments[0].keys;
    return segments[i - n_segments].values;
  }

  const AttentionPartition& a_;
  const int64_t piece_bytes_;
  const int fetched_ahead_;
  const int asked_ahead_;
};

// Scores of kVectors * kLanes positions that start at column `column` of the tile, before a cap.
// Fetches what lies at `fetched` as the keys do at `at`.
template <typename Cache, int kRows, int kVectors>
void Score(const AttentionPartition& a, const KeyColumns<Cache>& at,
           const typename Cache::Element* fetched, int column, RowTile& tile) {
  Vec sums[kRows][kVectors] = {};
  Vec scale[kVectors] = {};
  for (int64_t d = 0; d < a.head_dim; ++d) {
    Prefetch<kVectors * kLanes * sizeof(*fetched)>(fetched + d * a.key_stride);
    if (Cache::kHasScales && d % kScaleDims == 0)
      for (int v = 0; v < kVectors; ++v)
        scale[v] = LoadHalf(at.scales + d / kScaleDims * a.key_stride + v * kLanes);
    Vec k[kVectors];
    for (int v = 0; v < kVectors; ++v) {
      k[v] = Cache::Load(at.keys + d * a.key_stride + v * kLanes);
      if constexpr (Cache::kHasScales) k[v] *= scale[v];
    }
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 2
      for (int v = 0; v < kVectors; ++v) sums[r][v] = Fma(Set(tile.q[r][d]), k[v], sums[r][v]);
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v)
      Store(&tile.scores[r][column + v * kLanes], sums[r][v] * Set(a.scale));
}

// The same for the last n < kLanes positions of a segment.
template <typename Cache, int kRows>
void ScoreFirst(const AttentionPartition& a, const KeyColumns<Cache>& at, int n, int column,
                RowTile& tile) {
  Vec sums[kRows] = {};
  Vec scale = {};
  for (int64_t d = 0; d < a.head_dim; ++d) {
    if (Cache::kHasScales && d % kScaleDims == 0)
      scale = LoadFirstHalf(at.scales + d / kScaleDims * a.key_stride, n);
    Vec k = Cache::LoadFirst(at.keys + d * a.key_stride, n);
    if constexpr (Cache::kHasScales) k *= scale;
    for (int r = 0; r < kRows; ++r) sums[r] = Fma(Set(tile.q[r][d]), k, sums[r]);
  }
  for (int r = 0; r < kRows; ++r) Store(&tile.scores[r][column], sums[r] * Set(a.scale));
}

template <typename Cache, int kRows>
void ScoreSegments(const AttentionPartition& a, RowTile& tile) {
  const Pieces<Cache> pieces(a);
  int column = a.first_column;
  for (int s = 0; s < a.n_segments && column < tile.last_end; ++s) {
    const KvSegment& segment = a.segments[s];
    const int rest = tile.last_end - column;
    const int n = segment.n < rest ? segment.n : rest;
    const auto* const fetched = pieces.Fetched(s);
    pieces.AskForPages(s);
    // Not before the first column that a row of the tile sees.
    int j = tile.first_begin > column ? tile.first_begin - column : 0;
    for (; j + 2 * kLanes <= n; j += 2 * kLanes)
      Score<Cache, kRows, 2>(a, {segment, j}, fetched + j, column + j, tile);
    for (; j + kLanes <= n; j += kLanes)
      Score<Cache, kRows, 1>(a, {segment, j}, fetched + j, column + j, tile);
    if (j < n) ScoreFirst<Cache, kRows>(a, {segment, j}, n - j, column + j, tile);
    column += n;
  }
}

// Turns a row's scores into exp(score - maximum). Columns keep their lanes wherever the row's first
// one is, so that the total does not depend on it.
void ExponentiateRow(const AttentionPartition& a, int r, RowTile& tile) {
  const int row = tile.first_row + r;
  const int begin = tile.begin[r] / kLanes * kLanes;
  const int end = tile.begin[r] < tile.end[r] ? tile.end[r] : begin;
  float* scores = tile.scores[r];
  if (a.soft_cap != 0.0f) {
    for (int j = begin; j < end; j += kLanes)
      Store(scores + j, SoftCap(Load(scores + j), Set(a.soft_cap)));
  }
  for (int j = begin; j < tile.begin[r]; ++j) scores[j] = -__builtin_inff();
  for (int j = end; j % kLanes != 0; ++j) scores[j] = -__builtin_inff();
  Vec maxima = Set(-__builtin_inff());
  for (int j = begin; j < end; j += kLanes) maxima = Max(maxima, Load(scores + j));
  const float maximum = MaxOfLanes(maxima);
  Vec totals = {};
  for (int j = begin; j < end; j += kLanes) {
    const Vec p = Exp(Load(scores + j) - Set(maximum));
    Store(scores + j, p);
    totals += p;
  }
  a.maxima[row] = maximum;
  a.totals[row] = Sum(totals);
}

// Adds the values of positions [begin, end) of the partition, weighted, to dimensions
// [first, first + kVectors * kLanes) of kRows rows that start at row r of the tile. With kPart the
// single vector has n_part dimensions.
template <typename Cache, int kRows, int kVectors, bool kPart>
void AddValues(const AttentionPartition& a, const RowTile& tile, int r, int begin, int end,
               int64_t first, int n_part) {
  static_assert(!kPart || kVectors == 1);
  float* out = a.sums + static_cast<int64_t>(tile.first_row + r) * a.value_dim + first;
  Vec sums[kRows][kVectors];
  for (int i = 0; i < kRows; ++i)
    for (int v = 0; v < kVectors; ++v) {
      const float* from = out + static_cast<int64_t>(i) * a.value_dim + v * kLanes;
      sums[i][v] = kPart ? LoadFirst(from, n_part) : Load(from);
    }
  const Pieces<Cache> pieces(a);
  int column = a.first_column;
  for (int s = 0; s < a.n_segments && column < end; ++s) {
    using Element = typename Cache::Element;
    const KvSegment& segment = a.segments[s];
    const Element* const values = static_cast<const Element*>(segment.values) + first;
    const Element* const fetched = pieces.Fetched(a.n_segments + s) + first;
    pieces.AskForPages(a.n_segments + s);
    const int n = segment.n;
    int j = begin > column ? begin - column : 0;
    const int j_end = end - column < n ? end - column : n;
    for (; j < j_end; ++j) {
      const Element* row = values + static_cast<int64_t>(j) * a.value_dim;
      Prefetch<kVectors * kLanes * sizeof(Element)>(fetched +
                                                    static_cast<int64_t>(j) * a.value_dim);
      Vec x[kVectors];
      for (int v = 0; v < kVectors; ++v) {
        x[v] = kPart ? Cache::LoadFirst(row, n_part) : Cache::Load(row + v * kLanes);
        if constexpr (Cache::kHasScales) {
          const int64_t block = (first + v * kLanes) / kScaleDims;
          x[v] *= Set(HalfAt(segment.value_scales + j * (a.value_dim / kScaleDims) + block));
        }
      }
      for (int i = 0; i < kRows; ++i) {
        const Vec p = Set(tile.scores[r + i][column + j]);
        for (int v = 0; v < kVectors; ++v) sums[i][v] = Fma(p, x[v], sums[i][v]);
      }
    }
    column += n;
  }
  for (int i = 0; i < kRows; ++i)
    for (int v = 0; v < kVectors; ++v) {
      float* to = out + static_cast<int64_t>(i) * a.value_dim + v * kLanes;
      if constexpr (kPart) {
        StoreFirst(to, sums[i][v], n_part);
      } else {
        Store(to, sums[i][v]);
      }
    }
}

template <typename Cache, int kRows>
void AddValuesOfRows(const AttentionPartition& a, const RowTile& tile, int r, int begin, int end) {
  constexpr int kVectors = 4 * kRows <= kMaxAccumulators ? 4 : 2;
  if (begin >= end) return;
  int64_t d = 0;
  for (; d + kVectors * kLanes <= a.value_dim; d += kVectors * kLanes)
    AddValues<Cache, kRows, kVectors, false>(a, tile, r, begin, end, d, 0);
  for (; d + kLanes <= a.value_dim; d += kLanes)
    AddValues<Cache, kRows, 1, false>(a, tile, r, begin, end, d, 0);
  if (d < a.value_dim)
    AddValues<Cache, kRows, 1, true>(a, tile, r, begin, end, d, static_cast<int>(a.value_dim - d));
}

// The weighted values of positions [0, end) of the partition, of values in keys: dimensions [first,
// first + kDims) of kRows rows that start at row r of the tile and see the same positions.
template <typename Cache, int kRows, int kDims>
void AddColumns(const AttentionPartition& a, const RowTile& tile, int r, int end, int64_t first) {
  using Element = typename Cache::Element;
  Vec sums[kRows][kDims] = {};
  int column = 0;
  for (int s = 0; s < a.n_segments && column < end; ++s) {
    const KvSegment& segment = a.segments[s];
    const Element* values = static_cast<const Element*>(segment.values) + first * a.key_stride;
    const int n = segment.n < end - column ? segment.n : end - column;
    for (int j = 0; j < n; j += kLanes) {
      const int n_lanes = n - j < kLanes ? n - j : kLanes;
      const bool is_whole = n_lanes == kLanes;
      Vec p[kRows];
      for (int i = 0; i < kRows; ++i) {
        const float* weights = &tile.scores[r + i][column + j];
        p[i] = is_whole ? Load(weights) : LoadFirst(weights, n_lanes);
      }
      for (int d = 0; d < kDims; ++d) {
        const Element* from = values + d * a.key_stride + j;
        Vec x = is_whole ? Cache::Load(from) : Cache::LoadFirst(from, n_lanes);
        if constexpr (Cache::kHasScales) {
          const uint16_t* scales =
              segment.value_scales + (first + d) / kScaleDims * a.key_stride + j;
          x *= is_whole ? LoadHalf(scales) : LoadFirstHalf(scales, n_lanes);
        }
        for (int i = 0; i < kRows; ++i) sums[i][d] = Fma(p[i], x, sums[i][d]);
      }
    }
    column += n;
  }
  float* out = a.sums + static_cast<int64_t>(tile.first_row + r) * a.value_dim + first;
  for (int i = 0; i < kRows; ++i)
    for (int d = 0; d < kDims; ++d) out[i * a.value_dim + d] = Sum(sums[i][d]);
}

template <typename Cache, int kRows>
void AddColumnsOfRows(const AttentionPartition& a, const RowTile& tile, int r, int end) {
  constexpr int kDims = 4 * kRows <= kMaxAccumulators ? 4 : 2 * kRows <= kMaxAccumulators ? 2 : 1;
  int64_t d = 0;
  for (; d + kDims <= a.value_dim; d += kDims) AddColumns<Cache, kRows, kDims>(a, tile, r, end, d);
  for (; d < a.value_dim; ++d) AddColumns<Cache, kRows, 1>(a, tile, r, end, d);
}

// Rows of one token see the same; tiles of several tokens go row by row where they do not.
template <typename Cache, int kRows>
void AddValuesInKeys(const AttentionPartition& a, const RowTile& tile) {
  if (tile.first_end == tile.last_end)
    return AddColumnsOfRows<Cache, kRows>(a, tile, 0, tile.last_end);
  for (int r = 0; r < kRows; ++r) AddColumnsOfRows<Cache, 1>(a, tile, r, tile.end[r]);
}

template <typename Cache, int kRows>
void AttendTile(const AttentionPartition& a, int first_row) {
  RowTile tile;
  SetUpTile(a, first_row, kRows, tile);
  float* sums = a.sums + static_cast<int64_t>(first_row) * a.value_dim;
  for (int64_t i = 0; i < static_cast<int64_t>(kRows) * a.value_dim; ++i) sums[i] = 0.0f;
  ScoreSegments<Cache, kRows>(a, tile);
  for (int r = 0; r < kRows; ++r) ExponentiateRow(a, r, tile);
  if (a.values_in_keys) return AddValuesInKeys<Cache, kRows>(a, tile);
  // What all rows see goes through them together, the rest row by row: multiplying a position that
  // a row does not see by 0 would let a NaN there reach the row.
  const int begin = tile.last_begin;
  const int end = tile.first_end < begin ? begin : tile.first_end;
  for (int r = 0; r < kRows; ++r)
    AddValuesOfRows<Cache, 1>(a, tile, r, tile.begin[r], begin < tile.end[r] ? begin : tile.end[r]);
  AddValuesOfRows<Cache, kRows>(a, tile, 0, begin, end);
  for (int r = 0; r < kRows; ++r) AddValuesOfRows<Cache, 1>(a, tile, r, end, tile.end[r]);
}

// Handles the last n_rows <= kRows rows.
template <typename Cache, int kRows>
void AttendLastTile(const AttentionPartition& a, int first_row, int n_rows) {
  if (n_rows == kRows) {
    AttendTile<Cache, kRows>(a, first_row);
  } else if constexpr (kRows > 1) {
    AttendLastTile<Cache, kRows - 1>(a, first_row, n_rows);
  }
}

template <typename Cache>
void Attend(const AttentionPartition& a) {
  const int n_rows = a.n_tokens * a.group;
  int row = 0;
  for (; row + kTileRows <= n_rows; row += kTileRows) AttendTile<Cache, kTileRows>(a, row);
  if (row < n_rows) AttendLastTile<Cache, kTileRows>(a, row, n_rows - row);
}

void MergePartition(const float* sums, float maximum, float total, AttentionState& state, float* y,
                    int64_t value_dim) {
  const float greatest = state.maximum > maximum ? state.maximum : maximum;
  const float old_weight = Exp(state.maximum - greatest);
  const float new_weight = Exp(maximum - greatest);
  state.maximum = greatest;
  state.total = state.total * old_weight + total * new_weight;
  int64_t d = 0;
  for (; d + kLanes <= value_dim; d += kLanes)
    Store(y + d, Fma(Load(sums + d), Set(new_weight), Load(y + d) * Set(old_weight)));
  if (d < value_dim) {
    const int n = static_cast<int>(value_dim - d);
    StoreFirst(y + d,
               Fma(LoadFirst(sums + d, n), Set(new_weight), LoadFirst(y + d, n) * Set(old_weight)),
               n);
  }
}

void FinishRow(float* y, float total, int64_t value_dim) {
  int64_t d = 0;
  for (; d + kLanes <= value_dim; d += kLanes) Store(y + d, Load(y + d) / Set(total));
  if (d < value_dim) {
    const int n = static_cast<int>(value_dim - d);
    StoreFirst(y + d, LoadFirst(y + d, n) / Set(total), n);
  }
}

}  // namespace
}  // namespace forge
