#include <algorithm>

#include "kernels/cpu/matmul_kernels.h"
#include "kernels/cpu/pack_layout.h"
#include "kernels/cpu/pack_read.h"

namespace forge {
namespace {

// 16 rows x 32 columns as plain numbers: value = scale * integer + offset, with a scale and an
// offset for each half of the columns.
struct SubBlock {
  int8_t values[16][32];
  float scale[2][16];
  float offset[2][16];
};

// Functions that are not inlined are called once for 512 weights, which costs nothing; inlined,
// they would be compiled for each format and each number of tokens, which takes minutes.

template <typename Layout, bool kIsExpanded = Layout::kIsExpanded>
class BlockReader {
 public:
  explicit BlockReader(const typename Layout::Block& block) : block_(block) {}

  [[gnu::noinline]] void Read(int s, SubBlock& sub) const {
    for (int row = 0; row < 16; ++row) {
      for (int k = 0; k < 32; ++k)
        sub.values[row][k] = static_cast<int8_t>(CodeAt(block_.codes[s], row, k) - Layout::kZero);
      for (int h = 0; h < 2; ++h) {
        sub.scale[h][row] = ScaleAt(block_.scales, row, s, h);
        sub.offset[h][row] = OffsetAt(block_.scales, row, s, h);
      }
    }
  }

 private:
  const typename Layout::Block& block_;
};

template <typename Layout>
class BlockReader<Layout, true> {
 public:
  [[gnu::noinline]] explicit BlockReader(const typename Layout::Block& packed) {
    for (int row = 0; row < 16; ++row) {
      const auto block = FileBlockAt<Layout>(packed, row);
      Layout::Format::Unpack(block, codes_[row]);
      Layout::Format::UnpackScales(block, scales_[row]);
    }
  }

  [[gnu::noinline]] void Read(int s, SubBlock& sub) const {
    for (int row = 0; row < 16; ++row) {
      for (int k = 0; k < 32; ++k)
        sub.values[row][k] = static_cast<int8_t>(codes_[row][32 * s + k] - Layout::kZero);
      for (int h = 0; h < 2; ++h) {
        sub.scale[h][row] = scales_[row][(2 * s + h) * Layout::kScales / 2];
        sub.offset[h][row] = 0.0f;
      }
    }
  }

 private:
  uint8_t codes_[16][Layout::kColumns];
  float scales_[16][Layout::kSubBlocks * Layout::kScales];
};

int32_t Dot16(const int8_t* a, const int8_t* b) {
  int32_t sum = 0;
  for (int k = 0; k < 16; ++k) sum += a[k] * b[k];
  return sum;
}

template <int kTokens, int kDigits, int kOffsets>
[[gnu::noinline]] void AddProducts(const SubBlock& w, const ActivationBlock<kTokens>& x,
                                   const SecondDigits<kTokens>& rests, float* __restrict sums) {
  for (int t = 0; t < kTokens; ++t) {
    for (int row = 0; row < 16; ++row) {
      const int8_t* const values = w.values[row];
      const int32_t first = Dot16(values, x.codes[t]);
      const int32_t second = Dot16(values + 16, x.codes[t] + 16);
      float product = static_cast<float>(first) * w.scale[0][row] +
                      static_cast<float>(second) * w.scale[1][row];
      if constexpr (kDigits == 2) {
        const int32_t digits =
            Dot16(values, rests.digits[t]) + Dot16(values + 16, rests.digits[t] + 16);
        product += static_cast<float>(digits) * kDigitStep * w.scale[0][row];
      }
      if constexpr (kOffsets == 2)
        product -= w.offset[0][row] * static_cast<float>(x.negative_half_sums[0][t]) +
                   w.offset[1][row] * static_cast<float>(x.negative_half_sums[1][t]);
      float sum = sums[16 * t + row] + product * x.scale[t];
      if constexpr (kOffsets == 1) sum += w.offset[0][row] * x.scaled_sum[t];
      sums[16 * t + row] = sum;
    }
  }
}

template <typename Layout, int kTokens>
void RunQuantized(const TileArgs& args) {
  const auto* block = reinterpret_cast<const typename Layout::Block*>(args.weights);
  const ActivationTiles<kTokens> x(args.activations, args.n_cols);
  std::fill_n(args.sums, 16 * kTokens * args.n_tiles, 0.0f);
  int64_t k = 0;  // 32 columns of activations
  for (int64_t i = 0; i < args.n_cols; i += Layout::kColumns, ++block) {
    const BlockReader<Layout> reader(*block);
    SubBlock sub;
    for (int s = 0; s < Layout::kSubBlocks; ++s, ++k) {
      reader.Read(s, sub);
      for (int tile = 0; tile < args.n_tiles; ++tile)
        AddProducts<kTokens, Layout::kDigits, Layout::kOffsets>(
            sub, x.Block(tile, k), x.Digits(tile, k), args.sums + 16 * kTokens * tile);
    }
  }
}

float Widen(float value) { return value; }
float Widen(F16 value) { return ToFloat(value); }
float Widen(Bf16 value) { return ToFloat(value); }

template <typename Layout, int kTokens>
void RunFloat(const TileArgs& args) {
  for (int tile = 0; tile < args.n_tiles; ++tile) {
    const auto* block = reinterpret_cast<const typename Layout::Block*>(args.weights);
    const auto* x =
        reinterpret_cast<const float*>(args.activations) + tile * kTokens * args.activation_stride;
    float* sums = args.sums + 16 * kTokens * tile;
    for (int i = 0; i < 16 * kTokens; ++i) sums[i] = 0.0f;
    for (int64_t k = 0; k < args.n_cols; ++k, ++block) {
      float weights[16];
      for (int row = 0; row < 16; ++row) weights[row] = Widen(block->values[row]);
      for (int t = 0; t < kTokens; ++t) {
        const float value = x[t * args.activation_stride + k];
        for (int row = 0; row < 16; ++row) sums[16 * t + row] += weights[row] * value;
      }
    }
  }
}

template <typename Format>
struct Kernels {
  using Layout = PackLayout<Format>;
  template <int kTokens>
  static void Run(const TileArgs& args) {
    if constexpr (Layout::kIsQuantized) {
      RunQuantized<Layout, kTokens>(args);
    } else {
      RunFloat<Layout, kTokens>(args);
    }
  }
};

void Quantize(const float* x, int64_t n_cols, int token, int n_tokens, bool has_digits,
              std::byte* tile) {
  QuantizeActivations(x, n_cols, token, n_tokens, has_digits, tile);
}

}  // namespace

constinit const MatmulKernels kMatmulKernelsPortable = MakeMatmulKernels<Kernels>(Quantize);

}  // namespace forge
