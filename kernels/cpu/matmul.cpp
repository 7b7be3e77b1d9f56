#include "kernels/cpu/matmul.h"

#include <algorithm>
#include <array>
#include <string>
#include <tuple>
#include <vector>

#include "kernels/cpu/cpu_stream.h"
#include "kernels/cpu/matmul_kernels.h"
#include "kernels/cpu/matmul_tiling.h"
#include "kernels/cpu/pack_layout.h"
#include "kernels/cpu/prefetch.h"
#include "kernels/cpu/vector_kernels.h"

namespace forge {
namespace {

// From here on activations are prepared by all threads; below, waking them costs more.
constexpr int64_t kParallelPrepareValues = 16384;

// What the workspace has for a token and 32 columns.
constexpr int64_t kWorkspaceTokenBytes = std::max(kActivationBytes, kMaxPanelTokenBytes);
static_assert(kWorkspaceTokenBytes % 64 == 0 && kPanelBlockColumns == kActivationBlockColumns);

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

// Tokens that are multiplied alike, cut into chunks: a span of them times a range of the row groups
// of all matrices. With gate and up a chunk has the same groups of gate and of up, so that it has
// both halves of its rows.
struct Part {
  int64_t first_token;
  int64_t end_token;
  int64_t span_tokens;
  int64_t groups_per_chunk;
  int64_t chunks_per_span;

  int64_t n_chunks() const {
    return CeilDivide(end_token - first_token, span_tokens) * chunks_per_span;
  }
};

// A range of tokens.
struct Span {
  int64_t first_token;
  int64_t end_token;
};

// A panel of a span's tokens.
struct Panel {
  PanelKernel kernel;
  int tile_tokens;
  const std::byte* activations;
};

// A matmul in two parts: of the tokens generated, and of those of prompts where these have panels
// of their own.
class TiledMatmul {
 public:
  // REQUIRES: the arguments are valid, n_tokens > 0.
  TiledMatmul(const MatmulArgs& args, CpuLevel level);

  bool needs_workspace() const { return needs_quantized_ || panel_digits_ > 0; }
  bool is_gated() const { return args_.activation && args_.n_targets == 2; }
  int64_t n_sides() const { return is_gated() ? 2 : 1; }  // that stay together
  // Normalises the activations and rounds them.
  void Prepare(ThreadPool& pool) const;
  void Multiply(CpuStream& stream) const;

 private:
  int64_t n_blocks() const { return CeilDivide(n_in_, kActivationBlockColumns); }
  // Where the tile that starts at `first_token` lies in the workspace.
  std::byte* Tile(int64_t first_token) const {
    return static_cast<std::byte*>(args_.workspace.data) +
           first_token * n_blocks() * kActivationBytes;
  }
  // The same of a token of a prompt; those lie behind the others, each tile at a multiple of 64.
  std::byte* PanelTile(int64_t first_token) const {
    return static_cast<std::byte*>(args_.workspace.data) +
           n_tiled_ * n_blocks() * kWorkspaceTokenBytes +
           (first_token - n_tiled_) * n_blocks() * panel_digits_ * kPanelDigitBytes;
  }
  // What the kernels of tiles read from that token on.
  const std::byte* ActivationsOf(const MatmulFormat& format, int64_t first_token) const {
    if (format.is_quantized) return Tile(first_token);
    return reinterpret_cast<const std::byte*>(x_ + first_token * n_in_);
  }
  void PrepareTokens(int64_t begin, int64_t end) const;
  void QuantizeTokens(const Span& tokens, int64_t first_block, int64_t end_block) const;
  Part MakeTiles(int n_threads) const;
  Part MakePanels(const Span& tokens, const PanelGroups& groups, int n_threads) const;
  std::vector<FirstRead> FirstReadsOf(const Part& tiles, int n_threads) const;
  void MultiplyChunk(const Part& part, int64_t chunk) const;
  void MultiplyGroups(const Product& product, int64_t group, int64_t end_group,
                      const Span& span) const;
  void MultiplyGroup(const Product& product, int64_t group, const Span& span) const;
  void MultiplyPanel(const Product& product, const Panel& panel, int64_t group, int n_groups,
                     const Span& span) const;

  const MatmulArgs& args_;
  const MatmulKernels& kernels_;
  const PromptKernels* const prompt_kernels_;
  const VectorKernels& vector_kernels_;
  const int64_t n_in_;
  const float* const x_;  // what is multiplied
  std::array<Product, 3> products_;
  int64_t n_groups_ = 0;  // of all matrices
  int64_t weight_bytes_ = 0;
  int64_t activation_bytes_ = 0;  // of a token and 32 columns, in tiles
  int panel_digits_ = 0;          // 0: there are no panels
  int64_t n_tiled_ = 0;           // tokens; those behind them are for panels
  bool needs_quantized_ = false;
  bool needs_digits_ = false;
};

TiledMatmul::TiledMatmul(const MatmulArgs& args, CpuLevel level)
    : args_(args),
      kernels_(MatmulKernelsAt(level)),
      prompt_kernels_(PromptKernelsAt(level)),
      vector_kernels_(VectorKernelsFor(level)),
      n_in_(args.targets[0].weight.shape.n_cols),
      x_(args.norm.weight == nullptr ? args.x : args.norm.scratch) {
  for (size_t i = 0; i < static_cast<size_t>(args.n_targets); ++i) {
    const WeightShape& shape = args.targets[i].weight.shape;
    const MatmulFormat format = FindMatmulFormat(shape.dtype, n_in_, level);
    products_[i] = {&args.targets[i], format, CeilDivide(shape.n_rows, kCpuPackRows), nullptr,
                    false};
    n_groups_ += products_[i].n_groups;
    weight_bytes_ += products_[i].n_groups * format.group_bytes;
    needs_quantized_ |= format.is_quantized;
    needs_digits_ |= format.needs_digits;
    activation_bytes_ = std::max(activation_bytes_, format.activation_bytes());
    if (args.n_prompt_tokens > 0)
      panel_digits_ = std::max(panel_digits_, format.prompt_panel.n_digits);
  }
  n_tiled_ = args.n_tokens - (panel_digits_ > 0 ? args.n_prompt_tokens : 0);
  if (args.activation) {
    Product& last = products_[is_gated() ? 1 : 0];
    last.activate = vector_kernels_.gated_activation[static_cast<size_t>(*args.activation)];
    last.is_up = is_gated();
  }
}

void TiledMatmul::Prepare(ThreadPool& pool) const {
  if (!needs_workspace() && args_.norm.weight == nullptr) return;
  const int64_t n_tokens = args_.n_tokens;
  if (n_tokens * n_in_ < kParallelPrepareValues) {
    PrepareTokens(0, n_tokens);
    return QuantizeTokens({0, n_tiled_}, 0, n_blocks());
  }
  if (n_tokens >= kTileTokens * pool.n_threads()) {
    return pool.ParallelFor(CeilDivide(n_tokens, kTileTokens), [&](int64_t tile, int) {
      const int64_t begin = tile * kTileTokens;
      const int64_t end = std::min<int64_t>(n_tokens, begin + kTileTokens);
      PrepareTokens(begin, end);
      QuantizeTokens({begin, std::min(end, n_tiled_)}, 0, n_blocks());
    });
  }
  // Fewer tiles than threads, which must not take tokens of one tile in turns: these share cache
  // lines. So each takes a range of the columns. (Two Zen 5 cores, eight streams of 1B Q4_K:
  // rounding by token takes a tenth of a step.)
  if (args_.norm.weight != nullptr || n_tiled_ < n_tokens)
    pool.ParallelFor(n_tokens, [&](int64_t token, int) { PrepareTokens(token, token + 1); });
  // Where second digits lie hangs on the number of columns.
  const int64_t n_ranges = needs_digits_ ? 1 : std::min<int64_t>(pool.n_threads(), n_blocks());
  pool.ParallelFor(n_ranges, [&](int64_t range, int) {
    QuantizeTokens({0, n_tiled_}, n_blocks() * range / n_ranges,
                   n_blocks() * (range + 1) / n_ranges);
  });
}

// All that a token needs but QuantizeTokens.
void TiledMatmul::PrepareTokens(int64_t begin, int64_t end) const {
  for (int64_t token = begin; token < end && args_.norm.weight != nullptr; ++token)
    NormRow(vector_kernels_, args_.x + token * n_in_,
            {args_.norm.weight, args_.norm.bias, args_.norm.epsilon, args_.norm.is_centred},
            nullptr, args_.norm.scratch + token * n_in_, n_in_);
  for (int64_t token = std::max(begin, n_tiled_); token < end; ++token) {
    const auto slot = static_cast<int>((token - n_tiled_) % kPanelTileTokens);
    prompt_kernels_->round(x_ + token * n_in_, n_in_, slot, panel_digits_, PanelTile(token - slot));
  }
}

// Rounds blocks [first_block, end_block) of the tokens, which begin a tile.
void TiledMatmul::QuantizeTokens(const Span& tokens, int64_t first_block, int64_t end_block) const {
  if (!needs_quantized_) return;
  const bool has_tiles = kernels_.quantize_tile != nullptr && !needs_digits_;
  const TokenTiles tiles = {n_tiled_};
  const int64_t n_cols = (end_block - first_block) * kActivationBlockColumns;
  for (int64_t token = tokens.first_token; token < tokens.end_token;) {
    const int64_t first = TokenTiles::Start(token);
    const int n_tokens = tiles.Count(first);
    const float* const x = x_ + token * n_in_ + first_block * kActivationBlockColumns;
    std::byte* const tile = Tile(first) + first_block * n_tokens * kActivationBlockBytes;
    if (has_tiles && token == first && token + kTileTokens <= tokens.end_token) {
      kernels_.quantize_tile(x, n_in_, n_cols, tile);
      token += kTileTokens;
    } else {
      kernels_.quantize(x, n_cols, static_cast<int>(token - first), n_tokens, needs_digits_, tile);
      ++token;
    }
  }
}

Part TiledMatmul::MakeTiles(int n_threads) const {
  if (kernels_.panels != nullptr && n_tiled_ >= kMinPanelTiles * kTileTokens)
    return MakePanels({0, n_tiled_}, kPanelGroups, n_threads);
  const int64_t span_tokens = SpanTokens(n_in_, activation_bytes_);
  const int64_t tokens = std::clamp<int64_t>(n_tiled_, 1, span_tokens);
  const int64_t by_products = kChunkProducts / (kCpuPackRows * n_in_ * tokens);
  const int64_t by_bytes = kChunkBytes * n_groups_ / weight_bytes_;
  const int64_t by_balance = n_groups_ / (kMinChunksPerThread * n_threads);
  int64_t groups = std::max<int64_t>(1, std::min({by_products, by_bytes, by_balance}));
  groups = CeilDivide(groups, n_sides()) * n_sides();
  return {0, n_tiled_, span_tokens, groups, CeilDivide(n_groups_, groups)};
}

Part TiledMatmul::MakePanels(const Span& tokens, const PanelGroups& groups, int n_threads) const {
  const int64_t n_tokens = tokens.end_token - tokens.first_token;
  const int64_t n_chunks = kMinChunksPerThread * n_threads;
  const int64_t n_panels = CeilDivide(n_groups_, n_sides() * groups.max);
  int64_t span_tokens = kMaxPanelTokens;
  while (span_tokens > kMinPanelTokens && n_panels * CeilDivide(n_tokens, span_tokens) < n_chunks)
    span_tokens /= 2;
  const int64_t by_balance = n_groups_ / (n_sides() * n_chunks) / groups.at_once;
  const int64_t in_chunk =
      n_sides() * groups.at_once * std::clamp<int64_t>(by_balance, 1, groups.max / groups.at_once);
  return {tokens.first_token, tokens.end_token, span_tokens, in_chunk,
          CeilDivide(n_groups_, in_chunk)};
}

// What each thread reads first in a loop over the chunks of these tiles alone.
std::vector<FirstRead> TiledMatmul::FirstReadsOf(const Part& tiles, int n_threads) const {
  const int64_t n_shares = std::min<int64_t>(n_threads, tiles.n_chunks());
  std::vector<FirstRead> reads;
  for (int64_t share = 0; share < n_shares; ++share) {
    int64_t group = tiles.n_chunks() * share / n_shares * tiles.groups_per_chunk / n_sides();
    size_t i = 0;
    while (group >= products_[i].n_groups) group -= products_[i++].n_groups;
    const Product& product = products_[i];
    const int64_t n_groups =
        std::min(product.n_groups - group, CeilDivide(n_groups_, n_shares * n_sides()));
    reads.emplace_back(
        static_cast<const std::byte*>(product.target->weight.data) +
            group * product.format.group_bytes,
        static_cast<size_t>(std::min(kFirstReadBytes, n_groups * product.format.group_bytes)));
  }
  return reads;
}

void TiledMatmul::Multiply(CpuStream& stream) const {
  ThreadPool& pool = stream.pool();
  const Part tiles = MakeTiles(pool.n_threads());
  const Part panels = MakePanels({n_tiled_, args_.n_tokens}, kPromptPanelGroups, pool.n_threads());
  const int64_t n_first = tiles.n_chunks();
  FirstReads next;
  if (IsBoundByMemory(args_.n_tokens, weight_bytes_, pool.n_threads()))
    next = stream.product_order().Begin(args_.targets[0].weight.data,
                                        FirstReadsOf(tiles, pool.n_threads()));
  pool.ParallelFor(
      n_first + panels.n_chunks(),
      [&](int64_t chunk, int) {
        chunk < n_first ? MultiplyChunk(tiles, chunk) : MultiplyChunk(panels, chunk - n_first);
      },
      next);
}

void TiledMatmul::MultiplyChunk(const Part& part, int64_t chunk) const {
  const int64_t first_token = part.first_token + chunk / part.chunks_per_span * part.span_tokens;
  const Span span = {first_token, std::min(part.end_token, first_token + part.span_tokens)};
  int64_t group = chunk % part.chunks_per_span * part.groups_per_chunk;
  int64_t end_group = std::min(n_groups_, group + part.groups_per_chunk);
  if (is_gated()) {
    // First all of gate, then all of up: taking turns breaks up what is read in one piece. (Two Zen
    // 4 cores, one token of 1B Q4_K: 83 % of what the other products read, now as much.)
    for (const size_t i : {0, 1}) MultiplyGroups(products_[i], group / 2, end_group / 2, span);
    return;
  }
  for (int i = 0; i < args_.n_targets && end_group > 0; ++i) {
    const Product& product = products_[static_cast<size_t>(i)];
    MultiplyGroups(product, group, std::min(end_group, product.n_groups), span);
    group = std::max<int64_t>(0, group - product.n_groups);  // numbers within the next matrix
    end_group -= product.n_groups;
  }
}

// Does nothing where `group` is not below `end_group`.
void TiledMatmul::MultiplyGroups(const Product& product, int64_t group, int64_t end_group,
                                 const Span& span) const {
  if (group >= end_group) return;
  const auto n_groups = static_cast<int>(end_group - group);
  const MatmulFormat& format = product.format;
  if (span.first_token >= n_tiled_ && format.prompt_panel.kernel != nullptr)
    return MultiplyPanel(
        product, {format.prompt_panel.kernel, kPanelTileTokens, PanelTile(span.first_token)}, group,
        n_groups, span);
  int64_t token = span.first_token;
  if (const int64_t n_paneled = TokensInPanel(format, span.end_token - token); n_paneled > 0) {
    MultiplyPanel(product, {format.panel, kTileTokens, ActivationsOf(format, token)}, group,
                  n_groups, {token, token + n_paneled});
    token += n_paneled;
  }
  if (token == span.end_token) return;
  for (; group < end_group; ++group) MultiplyGroup(product, group, {token, span.end_token});
}

// Where StoreSums writes the rows of `group` for `token`.
float* ResultsOf(const Product& product, float* first_y, int64_t group, int64_t token) {
  float* const y = product.activate != nullptr ? first_y : product.target->y;
  return y + token * product.target->weight.shape.n_rows + group * kCpuPackRows;
}

// Asks for what StoreSums will touch of a token: lines far from the next token's, and the last to
// write them may have been another core. (Two Zen 4 cores, prompts of 1B Q4_K: storing takes 3.6 %
// of the products' time, 6.2 % without.)
void PrefetchResults(const Product& product, float* first_y, int64_t group, int n_groups,
                     int64_t token) {
  const float* y = ResultsOf(product, first_y, group, token);
  for (int g = 0; g < n_groups; ++g) PrefetchLine(y + g * kCpuPackRows);
  const float* residual = product.target->residual;
  if (residual == nullptr) return;
  residual += token * product.target->weight.shape.n_rows + group * kCpuPackRows;
  for (int g = 0; g < n_groups; ++g) PrefetchLine(residual + g * kCpuPackRows);
}

// y[t, rows of the groups] = sums + bias + residual, or the activation of that, or of the first
// target's y and that. Overwrites the sums [n_tokens, n_groups, 16].
void StoreSums(const Product& product, float* first_y, int64_t group, int n_groups,
               const Span& span, float* sums) {
  const MatmulTarget& target = *product.target;
  const int64_t n_out = target.weight.shape.n_rows;
  const int64_t first_row = group * kCpuPackRows;
  const int n_rows = static_cast<int>(std::min(n_groups * kCpuPackRows, n_out - first_row));
  for (int64_t token = span.first_token; token < span.end_token; ++token) {
    float* const y = ResultsOf(product, first_y, group, token);
    if (target.bias != nullptr) AddRows(target.bias + first_row, n_rows, sums);
    if (target.residual != nullptr)
      AddRows(target.residual + token * n_out + first_row, n_rows, sums);
    if (product.activate == nullptr) {
      StoreRows(sums, n_rows, y);
    } else if (product.is_up) {
      product.activate(y, sums, y, n_rows);
    } else {
      product.activate(sums, kOnes.data(), y, n_rows);
    }
    sums += n_groups * kCpuPackRows;
  }
}

void TiledMatmul::MultiplyGroup(const Product& product, int64_t group, const Span& span) const {
  alignas(64) float sums[kMaxTokensAtOnce * kCpuPackRows];
  const MatmulFormat& format = product.format;
  const TokenTiles tiles = {span.end_token};
  TileArgs tile = {};
  tile.weights =
      static_cast<const std::byte*>(product.target->weight.data) + group * format.group_bytes;
  tile.activation_stride = n_in_;
  tile.n_cols = n_in_;
  tile.sums = sums;
  for (int64_t token = span.first_token; token < span.end_token;) {
    const int n_tokens = tiles.Count(token);
    tile.n_tiles = tiles.CountTiles(token, span.end_token);
    tile.activations = ActivationsOf(format, token);
    tile.prefetch = token == span.first_token;  // from the second time on the group is in a cache
    const int n_stored = n_tokens * tile.n_tiles;
    for (int t = 0; n_stored > 1 && t < n_stored; ++t)
      PrefetchResults(product, args_.targets[0].y, group, 1, token + t);
    format.kernels[n_tokens - 1](tile);
    StoreSums(product, args_.targets[0].y, group, 1, {token, token + n_stored}, sums);
    token += n_stored;
  }
}

void TiledMatmul::MultiplyPanel(const Product& product, const Panel& panel, int64_t group,
                                int n_groups, const Span& span) const {
  float* const first_y = args_.targets[0].y;
  RunPanel(
      panel.kernel,
      {.weights = static_cast<const std::byte*>(product.target->weight.data) +
                  group * product.format.group_bytes,
       .group_bytes = product.format.group_bytes,
       .n_groups = n_groups,
       .activations = panel.activations,
       .n_digits = panel_digits_,
       .n_cols = n_in_,
       .n_tiles = 0,
       .sums = nullptr},
      panel.tile_tokens, span.end_token - span.first_token,
      [&](int64_t t) { PrefetchResults(product, first_y, group, n_groups, span.first_token + t); },
      [&](int64_t t, float* sums) {
        const int64_t token = span.first_token + t;
        StoreSums(product, first_y, group, n_groups, {token, token + 1}, sums);
      });
}

}  // namespace

const MatmulKernels& MatmulKernelsAt(CpuLevel level) {
#if defined(__x86_64__)
  if (level >= CpuLevel::kAvx512)
    return ShiftsWhereItMultiplies() ? kUnpackingKernelsAvx512 : kMatmulKernelsAvx512;
  if (level == CpuLevel::kAvxVnni) return kMatmulKernelsAvxVnni;
  if (level == CpuLevel::kAvx2) return kMatmulKernelsAvx2;
#endif
  static_cast<void>(level);
  return kMatmulKernelsPortable;
}

const PromptKernels* PromptKernelsAt(CpuLevel level) {
#if defined(__x86_64__)
  if (level == CpuLevel::kAmx) return &kPromptKernelsAmx;
#endif
  static_cast<void>(level);
  return nullptr;
}

MatmulFormat FindMatmulFormat(DType dtype, int64_t n_cols, CpuLevel level) {
  size_t format = 0;
  while (kTraits[format].dtype != dtype) ++format;
  const MatmulKernels& kernels = MatmulKernelsAt(level);
  const PromptKernels* panels = PromptKernelsAt(level);
  return {.kernels = kernels.tiles[format],
          .panel = kernels.panels == nullptr ? nullptr : (*kernels.panels)[format],
          .prompt_panel = panels == nullptr ? PromptKernels::OfFormat{} : panels->formats[format],
          .is_quantized = kTraits[format].is_quantized,
          .needs_digits = kTraits[format].needs_digits,
          .group_bytes = kTraits[format].group_bytes(n_cols)};
}

uint64_t CpuMatmulWorkspaceBytes(int max_tokens, int64_t max_cols) {
  if (max_tokens <= 0 || max_cols <= 0) return 0;
  const int64_t blocks = CeilDivide(max_cols, kActivationBlockColumns);
  return static_cast<uint64_t>(max_tokens + kPanelTileTokens - 1) *
         static_cast<uint64_t>(blocks * kWorkspaceTokenBytes);
}

Status CpuMatmul(const MatmulArgs& args, Stream& stream) {
  FORGE_TRY(Validate(args));
  if (args.n_tokens == 0) return Status();
  CpuStream& cpu = AsCpu(stream);
  const TiledMatmul matmul(args, cpu.level());
  if (matmul.needs_workspace()) {
    const uint64_t needed =
        CpuMatmulWorkspaceBytes(args.n_tokens, args.targets[0].weight.shape.n_cols);
    if (args.workspace.data == nullptr || args.workspace.bytes < needed)
      return InvalidArgument("matmul: the workspace of " + std::to_string(args.workspace.bytes) +
                             " bytes is too small for " + std::to_string(args.n_tokens) +
                             " tokens; it needs " + std::to_string(needed));
  }
  matmul.Prepare(cpu.pool());
  matmul.Multiply(cpu);
  return Status();
}

}  // namespace forge
