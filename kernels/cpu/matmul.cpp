#include "kernels/cpu/matmul.h"

#include <algorithm>
#include <array>
#include <string>
#include <tuple>

#include "kernels/cpu/cpu_stream.h"
#include "kernels/cpu/matmul_kernels.h"
#include "kernels/cpu/matmul_tiling.h"
#include "kernels/cpu/pack_layout.h"
#include "kernels/cpu/vector_kernels.h"

namespace forge {
namespace {

// From here on activations are prepared by all threads; below, waking them costs more.
constexpr int64_t kParallelPrepareValues = 16384;

// One row of kTraits for each format.
struct FormatTraits {
  DType dtype;
  bool is_quantized;
  bool needs_digits;
  int64_t (*group_bytes)(int64_t n_cols);
};

template <typename... Format>
constexpr std::array<FormatTraits, sizeof...(Format)> MakeTraits(const std::tuple<Format...>*) {
  return {FormatTraits{Format::kDType, PackLayout<Format>::kIsQuantized,
                       PackLayout<Format>::kDigits == 2, PackedGroupBytes<Format>}...};
}

constexpr auto kTraits = MakeTraits(static_cast<const Formats*>(nullptr));

// One matrix as the loop below needs it.
struct Product {
  const MatmulTarget* target;
  MatmulFormat format;
  int64_t n_groups;
  GatedKernel activate;  // null, or what makes the first target's y of these products and
  bool is_up;            // of that y, or else of no other
};

// What an activation takes for `up` where there is no such matrix.
constexpr auto kOnes = [] {
  std::array<float, kCpuPackRows> ones = {};
  ones.fill(1.0f);
  return ones;
}();

// A matmul cut into chunks: a span of tokens times a range of the row groups of all matrices. With
// gate and up a chunk has the same groups of gate and of up, so that it has both halves of its
// rows.
class TiledMatmul {
 public:
  // REQUIRES: the arguments are valid, n_tokens > 0.
  TiledMatmul(const MatmulArgs& args, CpuLevel level);

  bool needs_quantized() const { return needs_quantized_; }
  bool is_gated() const { return args_.activation && args_.n_targets == 2; }
  // Normalises the activations and rounds them.
  void Prepare(ThreadPool& pool) const;
  void Multiply(ThreadPool& pool) const;

 private:
  // Where the tile that starts at `first_token` lies in the workspace.
  std::byte* Tile(int64_t first_token) const {
    return static_cast<std::byte*>(args_.workspace.data) +
           first_token * (n_in_ / kActivationBlockColumns) * kActivationBytes;
  }
  void PrepareToken(int64_t token) const;
  int64_t GroupsPerChunk(int n_threads) const;
  void MultiplyGroups(int64_t group, int64_t end_group, int64_t first_token,
                      int64_t end_token) const;
  void MultiplyGroup(const Product& product, int64_t group, int64_t first_token,
                     int64_t end_token) const;

  const MatmulArgs& args_;
  const MatmulKernels& kernels_;
  const VectorKernels& vector_kernels_;
  const int64_t n_in_;
  const float* const x_;  // what is multiplied
  TokenTiles tiles_;      // of quantised activations
  std::array<Product, 3> products_;
  int64_t n_groups_ = 0;  // of all matrices
  int64_t weight_bytes_ = 0;
  int64_t span_tokens_ = 0;  // as SpanTokens gives
  bool needs_quantized_ = false;
  bool needs_digits_ = false;
};

TiledMatmul::TiledMatmul(const MatmulArgs& args, CpuLevel level)
    : args_(args),
      kernels_(MatmulKernelsAt(level)),
      vector_kernels_(VectorKernelsFor(level)),
      n_in_(args.targets[0].weight.shape.n_cols),
      x_(args.norm.weight == nullptr ? args.x : args.norm.scratch),
      tiles_{args.n_tokens, true} {
  int64_t activation_bytes = 0;
  for (size_t i = 0; i < static_cast<size_t>(args.n_targets); ++i) {
    const WeightShape& shape = args.targets[i].weight.shape;
    const MatmulFormat format = FindMatmulFormat(shape.dtype, n_in_, level);
    products_[i] = {&args.targets[i], format, CeilDivide(shape.n_rows, kCpuPackRows), nullptr,
                    false};
    n_groups_ += products_[i].n_groups;
    weight_bytes_ += products_[i].n_groups * format.group_bytes;
    needs_quantized_ |= format.is_quantized;
    // The targets share the tiles of activations.
    tiles_.has_wide &= !format.is_quantized || format.wide_kernel != nullptr;
    needs_digits_ |= format.needs_digits;
    activation_bytes = std::max(activation_bytes, format.activation_bytes());
  }
  if (args.activation) {
    Product& last = products_[is_gated() ? 1 : 0];
    last.activate = vector_kernels_.gated_activation[static_cast<size_t>(*args.activation)];
    last.is_up = is_gated();
  }
  span_tokens_ = SpanTokens(n_in_, activation_bytes);
}

void TiledMatmul::Prepare(ThreadPool& pool) const {
  if (!needs_quantized_ && args_.norm.weight == nullptr) return;
  const auto prepare = [this](int64_t begin, int64_t end) {
    for (int64_t token = begin; token < end; ++token) PrepareToken(token);
  };
  if (args_.n_tokens * n_in_ < kParallelPrepareValues) return prepare(0, args_.n_tokens);
  // The tokens of a tile share cache lines, which threads had better not write in turns.
  const bool has_many_tiles = args_.n_tokens >= 2 * kTileTokens * pool.n_threads();
  const int64_t tokens = has_many_tiles ? kTileTokens : 1;
  pool.ParallelFor(CeilDivide(args_.n_tokens, tokens), [&](int64_t chunk, int) {
    prepare(chunk * tokens, std::min<int64_t>(args_.n_tokens, (chunk + 1) * tokens));
  });
}

void TiledMatmul::PrepareToken(int64_t token) const {
  if (args_.norm.weight != nullptr)
    NormRow(vector_kernels_, args_.x + token * n_in_,
            {args_.norm.weight, args_.norm.bias, args_.norm.epsilon, args_.norm.is_centred},
            nullptr, args_.norm.scratch + token * n_in_, n_in_);
  if (!needs_quantized_) return;
  const int64_t first = tiles_.Start(token);
  kernels_.quantize(x_ + token * n_in_, n_in_, static_cast<int>(token - first), tiles_.Count(first),
                    needs_digits_, Tile(first));
}

int64_t TiledMatmul::GroupsPerChunk(int n_threads) const {
  const int64_t tokens = std::min<int64_t>(args_.n_tokens, span_tokens_);
  const int64_t by_products = kChunkProducts / (kCpuPackRows * n_in_ * tokens);
  const int64_t by_bytes = kChunkBytes * n_groups_ / weight_bytes_;
  const int64_t by_balance = n_groups_ / (kMinChunksPerThread * n_threads);
  const int64_t groups = std::max<int64_t>(1, std::min({by_products, by_bytes, by_balance}));
  return is_gated() ? CeilDivide(groups, 2) * 2 : groups;  // gate and up stay together
}

void TiledMatmul::Multiply(ThreadPool& pool) const {
  const int64_t groups_per_chunk = GroupsPerChunk(pool.n_threads());
  const int64_t chunks_per_span = CeilDivide(n_groups_, groups_per_chunk);
  const int64_t n_spans = CeilDivide(args_.n_tokens, span_tokens_);
  pool.ParallelFor(n_spans * chunks_per_span, [&](int64_t chunk, int) {
    const int64_t first_token = chunk / chunks_per_span * span_tokens_;
    const int64_t end_token = std::min<int64_t>(args_.n_tokens, first_token + span_tokens_);
    const int64_t group = chunk % chunks_per_span * groups_per_chunk;
    MultiplyGroups(group, std::min(n_groups_, group + groups_per_chunk), first_token, end_token);
  });
}

void TiledMatmul::MultiplyGroups(int64_t group, int64_t end_group, int64_t first_token,
                                 int64_t end_token) const {
  if (is_gated()) {
    // First all of gate, then all of up: taking turns breaks up what is read in one piece. (Two Zen
    // 4 cores, one token of 1B Q4_K: 83 % of what the other products read, now as much.)
    for (const size_t i : {0, 1})
      for (int64_t pair = group / 2; pair < end_group / 2; ++pair)
        MultiplyGroup(products_[i], pair, first_token, end_token);
    return;
  }
  for (int i = 0; i < args_.n_targets; ++i) {
    const Product& product = products_[static_cast<size_t>(i)];
    for (; group < std::min(end_group, product.n_groups); ++group)
      MultiplyGroup(product, group, first_token, end_token);
    group -= product.n_groups;  // numbers within the next matrix
    end_group -= product.n_groups;
    if (end_group <= 0) return;
  }
}

// Where StoreSums writes the rows of `group` for `token`.
float* ResultsOf(const Product& product, float* first_y, int64_t group, int64_t token) {
  float* const y = product.activate != nullptr ? first_y : product.target->y;
  return y + token * product.target->weight.shape.n_rows + group * kCpuPackRows;
}

// Asks for what StoreSums will write, before the sums are computed: a line for each token, each far
// from the next, and the last to write it may have been another core. (Two Zen 4 cores, prompts of
// 1B Q4_K: storing takes 3.6 % of the products' time, 6.2 % without.)
void PrefetchResults(const Product& product, float* first_y, int64_t group, int64_t first_token,
                     int n_tokens) {
  for (int t = 0; t < n_tokens; ++t)
    __builtin_prefetch(ResultsOf(product, first_y, group, first_token + t), /*rw=*/1);
}

// y[t, rows of the group] = sums + bias + residual, or the activation of that, or of the first
// target's y and that. Overwrites the sums.
void StoreSums(const Product& product, float* first_y, int64_t group, int64_t first_token,
               int n_tokens, float* sums) {
  const MatmulTarget& target = *product.target;
  const int64_t n_out = target.weight.shape.n_rows;
  const int64_t first_row = group * kCpuPackRows;
  const int n_rows = static_cast<int>(std::min(kCpuPackRows, n_out - first_row));
  for (int t = 0; t < n_tokens; ++t, sums += kCpuPackRows) {
    const int64_t token = first_token + t;
    float* const y = ResultsOf(product, first_y, group, token);
    if (target.bias != nullptr)
      for (int r = 0; r < n_rows; ++r) sums[r] += target.bias[first_row + r];
    if (target.residual != nullptr)
      for (int r = 0; r < n_rows; ++r) sums[r] += target.residual[token * n_out + first_row + r];
    if (product.activate == nullptr) {
      StoreRows(sums, n_rows, y);
    } else if (product.is_up) {
      product.activate(y, sums, y, n_rows);
    } else {
      product.activate(sums, kOnes.data(), y, n_rows);
    }
  }
}

void TiledMatmul::MultiplyGroup(const Product& product, int64_t group, int64_t first_token,
                                int64_t end_token) const {
  alignas(64) float sums[kMaxTokensAtOnce * kCpuPackRows];
  const MatmulFormat& format = product.format;
  const TokenTiles tiles = format.is_quantized ? tiles_ : TokenTiles{args_.n_tokens, false};
  TileArgs tile = {};
  tile.weights =
      static_cast<const std::byte*>(product.target->weight.data) + group * format.group_bytes;
  tile.activation_stride = n_in_;
  tile.n_cols = n_in_;
  tile.sums = sums;
  for (int64_t token = first_token; token < end_token;) {
    const int n_tokens = tiles.Count(token);
    tile.n_tiles = tiles.CountTiles(token, end_token);
    tile.activations =
        format.is_quantized ? Tile(token) : reinterpret_cast<const std::byte*>(x_ + token * n_in_);
    tile.prefetch = token == first_token;  // from the second time on the group is in a cache
    const int n_stored = n_tokens * tile.n_tiles;
    if (n_stored > 1) PrefetchResults(product, args_.targets[0].y, group, token, n_stored);
    (n_tokens == kWideTileTokens ? format.wide_kernel : format.kernels[n_tokens - 1])(tile);
    StoreSums(product, args_.targets[0].y, group, token, n_stored, sums);
    token += n_stored;
  }
}

}  // namespace

const MatmulKernels& MatmulKernelsAt(CpuLevel level) {
#if defined(__x86_64__)
  if (level >= CpuLevel::kAvx512) return kMatmulKernelsAvx512;
  if (level == CpuLevel::kAvxVnni) return kMatmulKernelsAvxVnni;
  if (level == CpuLevel::kAvx2) return kMatmulKernelsAvx2;
#endif
  static_cast<void>(level);
  return kMatmulKernelsPortable;
}

const WideMatmulKernels* WideMatmulKernelsAt(CpuLevel level) {
#if defined(__x86_64__)
  if (level == CpuLevel::kAmx) return &kWideMatmulKernelsAmx;
#endif
  static_cast<void>(level);
  return nullptr;
}

MatmulFormat FindMatmulFormat(DType dtype, int64_t n_cols, CpuLevel level) {
  size_t format = 0;
  while (kTraits[format].dtype != dtype) ++format;
  const WideMatmulKernels* wide = WideMatmulKernelsAt(level);
  return {.kernels = MatmulKernelsAt(level).tiles[format],
          .wide_kernel = wide == nullptr ? nullptr : wide->tiles[format],
          .is_quantized = kTraits[format].is_quantized,
          .needs_digits = kTraits[format].needs_digits,
          .group_bytes = kTraits[format].group_bytes(n_cols)};
}

uint64_t CpuMatmulWorkspaceBytes(int max_tokens, int64_t max_cols) {
  if (max_tokens <= 0 || max_cols <= 0) return 0;
  const int64_t blocks = CeilDivide(max_cols, kActivationBlockColumns);
  return static_cast<uint64_t>(max_tokens) * static_cast<uint64_t>(blocks * kActivationBytes);
}

Status CpuMatmul(const MatmulArgs& args, Stream& stream) {
  FORGE_TRY(Validate(args));
  if (args.n_tokens == 0) return Status();
  CpuStream& cpu = AsCpu(stream);
  const TiledMatmul matmul(args, cpu.level());
  if (matmul.needs_quantized()) {
    const uint64_t needed =
        CpuMatmulWorkspaceBytes(args.n_tokens, args.targets[0].weight.shape.n_cols);
    if (args.workspace.data == nullptr || args.workspace.bytes < needed)
      return InvalidArgument("matmul: the workspace of " + std::to_string(args.workspace.bytes) +
                             " bytes is too small for " + std::to_string(args.n_tokens) +
                             " tokens; it needs " + std::to_string(needed));
  }
  matmul.Prepare(cpu.pool());
  matmul.Multiply(cpu.pool());
  return Status();
}

}  // namespace forge
