// The inner loops of causal_conv, delta_rule and state_space; part of vector_kernels.inl.

namespace forge {
namespace {

template <bool kGated, typename LoadFn>
Vec ConvolveAt(const ConvToken& t, int64_t i, const LoadFn& load) {
  Vec sum = t.bias == nullptr ? Vec{} : load(t.bias + i);
  for (int k = 0; k < t.n_taps; ++k)
    sum = Fma(load(t.weights + k * t.n + i), load(t.rows[k] + i), sum);
  if constexpr (kGated) return sum * load(t.gate + i);
  return Silu::Of(sum, Set(1.0f));
}

template <bool kGated>
void ConvolveChannels(const ConvToken& token) {
  const ConvToken t = token;  // which no store below may change
  int64_t i = 0;
  for (; i + kLanes <= t.n; i += kLanes)
    Store(t.y + i, ConvolveAt<kGated>(t, i, [](const float* at) { return Load(at); }));
  if (i == t.n) return;
  const int part = static_cast<int>(t.n - i);
  const auto load = [part](const float* at) { return LoadFirst(at, part); };
  StoreFirst(t.y + i, ConvolveAt<kGated>(t, i, load), part);
}

void Convolve(const ConvToken& token) {
  if (token.gate == nullptr)
    ConvolveChannels<false>(token);
  else
    ConvolveChannels<true>(token);
}

float SumOfSquares(const float* x, int64_t n) {
  Vec squares = {};
  for (int64_t i = 0; i < n; i += kLanes) {
    const Vec v = LoadFirst(x + i, n - i < kLanes ? static_cast<int>(n - i) : kLanes);
    squares = Fma(v, v, squares);
  }
  return Sum(squares);
}

void Normalize(const float* x, float* y, int64_t n, float scale, float epsilon) {
  const Vec factor = Set(scale / __builtin_sqrtf(SumOfSquares(x, n) + epsilon));
  for (int64_t i = 0; i < n; i += kLanes) {
    const int part = n - i < kLanes ? static_cast<int>(n - i) : kLanes;
    StoreFirst(y + i, LoadFirst(x + i, part) * factor, part);
  }
}

void GatedNorm(const float* x, const float* weight, const float* gate, float* y, int64_t dim,
               float epsilon) {
  const float mean = SumOfSquares(x, dim) / static_cast<float>(dim);
  const Vec scale = Set(1.0f / __builtin_sqrtf(mean + epsilon));
  for (int64_t i = 0; i < dim; i += kLanes) {
    const int part = dim - i < kLanes ? static_cast<int>(dim - i) : kLanes;
    const Vec normed = LoadFirst(x + i, part) * scale * LoadFirst(weight + i, part);
    StoreFirst(y + i, Silu::Of(LoadFirst(gate + i, part), normed), part);
  }
}

// Columns of a state that lie in registers' width: kVectors whole vectors, or with kPart the first
// n_part lanes of one. A row is `stride` elements behind the one before.
//
// A sum over rows is kRowSums sums of every kRowSums-th row, so that additions need not wait for
// each other. Columns do not touch each other, so a column's bits do not depend on its strip.
template <int kVectors, bool kPart>
struct StateStrip {
  static_assert(!kPart || kVectors == 1);
  float* state;
  int64_t stride;
  int n_part;

  Vec LoadAt(const float* from, int v) const {
    return kPart ? LoadFirst(from, n_part) : Load(from + v * kLanes);
  }
  void StoreAt(float* to, int v, Vec value) const {
    if (kPart)
      StoreFirst(to, value, n_part);
    else
      Store(to + v * kLanes, value);
  }
};

constexpr int kStripVectors = kLanes == 16 ? 2 : 4;
constexpr int kRowSums = 4 / kStripVectors;

template <int kVectors>
struct RowSums {
  Vec of[kRowSums][kVectors] = {};

  Vec Total(int v) const { return kRowSums == 1 ? of[0][v] : of[0][v] + of[kRowSums - 1][v]; }
};
static_assert(kRowSums <= 2);

// S^T key.
template <int kVectors, bool kPart>
RowSums<kVectors> Recall(const StateStrip<kVectors, kPart>& strip, const float* key,
                         int64_t n_rows) {
  RowSums<kVectors> sums;
  int64_t row = 0;
  const auto add = [&](int64_t i, int split) {
    for (int v = 0; v < kVectors; ++v)
      sums.of[split][v] =
          Fma(Set(key[i]), strip.LoadAt(strip.state + i * strip.stride, v), sums.of[split][v]);
  };
  for (; row + kRowSums <= n_rows; row += kRowSums)
    for (int split = 0; split < kRowSums; ++split) add(row + split, split);
  if (row < n_rows) add(row, 0);
  return sums;
}

// S = decay S + key change^T, giving S^T query and, for the token that comes next, S^T next_key,
// with the bits of Recall. (kDelta has GCC inline it for each kind, which sees one call of it
// then.)
template <bool kDelta, bool kHasNext, int kVectors, bool kPart>
void Learn(const StateStrip<kVectors, kPart>& strip, const StateTokens& d, int token,
           const Vec (&change)[kVectors], RowSums<kVectors>& answer, RowSums<kVectors>& recalled) {
  const float* key = d.keys + token * d.key_stride;
  const float* query = d.queries + token * d.key_stride;
  const float* next_key = key + d.key_stride;
  const Vec decay = Set(d.decays[token]);
  const auto update = [&](int64_t i, int split) {
    float* row = strip.state + i * strip.stride;
    // Before anything is stored, which as far as the compiler knows may change them.
    const Vec k = Set(key[i]), q = Set(query[i]), next = Set(kHasNext ? next_key[i] : 0.0f);
    for (int v = 0; v < kVectors; ++v) {
      const Vec s = Fma(k, change[v], decay * strip.LoadAt(row, v));
      strip.StoreAt(row, v, s);
      answer.of[split][v] = Fma(q, s, answer.of[split][v]);
      if constexpr (kHasNext) recalled.of[split][v] = Fma(next, s, recalled.of[split][v]);
    }
  };
  int64_t row = 0;
  for (; row + kRowSums <= d.key_dim; row += kRowSums)
    for (int split = 0; split < kRowSums; ++split) update(row + split, split);
  if (row < d.key_dim) update(row, 0);
}

// All tokens over the columns from `column` of the head on.
template <bool kDelta, int kVectors, bool kPart>
void RunStrip(const StateTokens& d, const StateStrip<kVectors, kPart>& strip, int64_t column) {
  RowSums<kVectors> recalled = kDelta ? Recall(strip, d.keys, d.key_dim) : RowSums<kVectors>();
  for (int token = 0; token < d.n_tokens; ++token) {
    const float* value = d.values + token * d.value_stride + column;
    Vec change[kVectors];
    for (int v = 0; v < kVectors; ++v) {
      Vec difference = strip.LoadAt(value, v);
      if constexpr (kDelta) difference = difference - Set(d.decays[token]) * recalled.Total(v);
      change[v] = Set(d.rates[token]) * difference;
    }
    RowSums<kVectors> answer, next;
    if (kDelta && token + 1 < d.n_tokens)
      Learn<kDelta, true>(strip, d, token, change, answer, next);
    else
      Learn<kDelta, false>(strip, d, token, change, answer, next);
    recalled = next;
    for (int v = 0; v < kVectors; ++v)
      strip.StoreAt(d.y + token * d.value_dim + column, v, answer.Total(v));
  }
}

template <bool kDelta>
void RunStateTokens(const StateTokens& d) {
  for (int64_t first = 0; first < d.value_dim; first += kStateColumns) {
    const int64_t rest = d.value_dim - first;
    const int64_t width = rest < kStateColumns ? rest : kStateColumns;
    float* state = d.state + first * d.key_dim;
    int64_t i = 0;
    for (; i + kStripVectors * kLanes <= width; i += kStripVectors * kLanes)
      RunStrip<kDelta, kStripVectors, false>(d, {state + i, width, 0}, first + i);
    for (; i + kLanes <= width; i += kLanes)
      RunStrip<kDelta, 1, false>(d, {state + i, width, 0}, first + i);
    if (i < width)
      RunStrip<kDelta, 1, true>(d, {state + i, width, static_cast<int>(width - i)}, first + i);
  }
}

}  // namespace
}  // namespace forge
