#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <tuple>
#include <utility>

#include "kernels/cpu/activation.h"
#include "kernels/cpu/cpu_features.h"
#include "kernels/formats/formats.h"

namespace forge {

// The product of one packed row group with tiles of tokens that follow each other: with one, or of
// kTileTokens tokens with up to kMaxTiles.
struct TileArgs {
  const std::byte* weights;      // one group of 16 rows, see pack_layout.h
  const std::byte* activations;  // quantised weights: the tiles, see activation.h; else float
                                 // [tokens, activation_stride]
  int64_t activation_stride;     // floats from token to token, for floating-point weights
  int64_t n_cols;
  int n_tiles;
  bool prefetch;  // the weights come from memory rather than from a cache
  float* sums;    // [tokens of all tiles, 16], 64-byte aligned
};
using TileKernel = void (*)(const TileArgs&);

// The product of packed row groups that follow each other with all tokens of a panel, for which
// weights are unpacked once.
struct PanelArgs {
  const std::byte* weights;  // n_groups groups of 16 rows, see pack_layout.h
  int64_t group_bytes;
  int n_groups;                  // in [1, kMaxPanelGroups]
  const std::byte* activations;  // the tiles, or float [tokens, n_cols]
  int n_digits;                  // of the activations, for those of panel.h
  int64_t n_cols;
  int n_tiles;  // at least 1
  float* sums;  // [tokens of all tiles, n_groups, 16], 64-byte aligned
};
using PanelKernel = void (*)(const PanelArgs&);

constexpr int kMaxPanelGroups = 8;  // that a kernel takes at once

using PanelTable = std::array<PanelKernel, std::tuple_size_v<Formats>>;  // [index in Formats]

// The kernels of one instruction set.
//
// Each adds up the columns of one row and one token in an order that depends on neither the other
// rows nor the other tokens, so a result is the same bits in every batch. Integer parts are exact.
struct MatmulKernels {
  static constexpr size_t kFormats = std::tuple_size_v<Formats>;
  // Rounds one token's activations into a tile, see activation.h.
  void (*quantize)(const float* x, int64_t n_cols, int token, int n_tokens, bool has_digits,
                   std::byte* tile);
  // The same of all kTileTokens tokens of a tile, whose rows are `stride` floats apart, without
  // second digits; null: there is nothing faster.
  void (*quantize_tile)(const float* x, int64_t stride, int64_t n_cols, std::byte* tile);
  TileKernel tiles[kFormats][kTileTokens];  // [index in Formats][number of tokens - 1]
  const PanelTable* panels;  // of tiles of kTileTokens, with the same bits; null: there are none
};

// Fills a table with Kernels<Format>::template Run<n_tokens>; evaluated by the compiler, because a
// function shared between files of several instruction sets might be linked from any of them.
template <template <typename> class Kernels, size_t... kFormat, int... kTokens>
consteval MatmulKernels MakeMatmulKernels(decltype(MatmulKernels::quantize) quantize,
                                          std::index_sequence<kFormat...>,
                                          std::integer_sequence<int, kTokens...>) {
  MatmulKernels table = {};
  table.quantize = quantize;
  const auto fill = [&table]<typename Format>(size_t index, Format*) {
    ((table.tiles[index][kTokens] = Kernels<Format>::template Run<kTokens + 1>), ...);
  };
  (fill(kFormat, static_cast<std::tuple_element_t<kFormat, Formats>*>(nullptr)), ...);
  return table;
}

template <template <typename> class Kernels>
consteval MatmulKernels MakeMatmulKernels(decltype(MatmulKernels::quantize) quantize) {
  return MakeMatmulKernels<Kernels>(quantize, std::make_index_sequence<MatmulKernels::kFormats>(),
                                    std::make_integer_sequence<int, kTileTokens>());
}

extern const MatmulKernels kMatmulKernelsPortable;
#if defined(__x86_64__)
extern const MatmulKernels kMatmulKernelsAvx2;
extern const MatmulKernels kMatmulKernelsAvxVnni;
extern const MatmulKernels kMatmulKernelsAvx512;
// The same for processors that shift where they multiply: panels unpack codes once for all tokens.
extern const MatmulKernels kUnpackingKernelsAvx512;
extern const PanelTable kPanelsAvx512;
extern const PanelTable kUnpackingPanelsAvx512;
#endif

// REQUIRES: HasCpuLevel(level).
const MatmulKernels& MatmulKernelsAt(CpuLevel level);

}  // namespace forge
