#include "kernels/cpu/matmul_kernels.h"
#include "kernels/cpu/pack_layout.h"
#include "kernels/cpu/pack_read.h"

namespace forge {
namespace {

// Reads 16 rows x 32 columns as plain numbers: value = scale * integer + offset, with a scale and
// an offset for each half of the columns.
template <typename Layout, bool kIsExpanded = Layout::kIsExpanded>
class BlockReader {
 public:
  explicit BlockReader(const typename Layout::Block& block) : block_(block) {}

  void ReadIntegers(int s, int8_t (&values)[16][32]) const {
    for (int row = 0; row < 16; ++row)
      for (int k = 0; k < 32; ++k)
        values[row][k] = static_cast<int8_t>(CodeAt(block_.codes[s], row, k) - Layout::kZero);
  }
  float Scale(int row, int s, int h) const { return ScaleAt(block_.scales, row, s, h); }
  float Offset(int row, int s, int h) const { return OffsetAt(block_.scales, row, s, h); }

 private:
  const typename Layout::Block& block_;
};

template <typename Layout>
class BlockReader<Layout, true> {
 public:
  explicit BlockReader(const typename Layout::Block& packed) {
    for (int row = 0; row < 16; ++row) {
      const auto block = FileBlockAt<Layout>(packed, row);
      Layout::Format::Unpack(block, codes_[row]);
      Layout::Format::UnpackScales(block, scales_[row]);
    }
  }

  void ReadIntegers(int s, int8_t (&values)[16][32]) const {
    for (int row = 0; row < 16; ++row)
      for (int k = 0; k < 32; ++k)
        values[row][k] = static_cast<int8_t>(codes_[row][32 * s + k] - Layout::kZero);
  }
  float Scale(int row, int s, int h) const {
    return scales_[row][(2 * s + h) * Layout::kScales / 2];
  }
  float Offset(int, int, int) const { return 0.0f; }

 private:
  uint8_t codes_[16][Layout::kColumns];
  float scales_[16][Layout::kSubBlocks * Layout::kScales];
};

int32_t Dot16(const int8_t* a, const int8_t* b) {
  int32_t sum = 0;
  for (int k = 0; k < 16; ++k) sum += a[k] * b[k];
  return sum;
}

template <typename Layout, int kTokens>
void RunQuantized(const TileArgs& args) {
  const auto* block = reinterpret_cast<const typename Layout::Block*>(args.weights);
  const auto* x = reinterpret_cast<const ActivationBlock<kTokens>*>(args.activations);
  for (int i = 0; i < 16 * kTokens; ++i) args.sums[i] = 0.0f;
  for (int64_t i = 0; i < args.n_cols; i += Layout::kColumns, ++block) {
    const BlockReader<Layout> reader(*block);
    for (int s = 0; s < Layout::kSubBlocks; ++s, ++x) {
      float scale[2][16];
      float offset[2][16];
      for (int row = 0; row < 16; ++row) {
        for (int h = 0; h < 2; ++h) {
          scale[h][row] = reader.Scale(row, s, h);
          offset[h][row] = reader.Offset(row, s, h);
        }
      }
      int8_t values[16][32];
      reader.ReadIntegers(s, values);
      for (int t = 0; t < kTokens; ++t) {
        for (int row = 0; row < 16; ++row) {
          const int32_t first = Dot16(values[row], x->codes[t]);
          const int32_t second = Dot16(values[row] + 16, x->codes[t] + 16);
          float product = static_cast<float>(first) * scale[0][row] +
                          static_cast<float>(second) * scale[1][row];
          if constexpr (Layout::kDigits == 2) {
            const int32_t digits =
                Dot16(values[row], x->digits[t]) + Dot16(values[row] + 16, x->digits[t] + 16);
            product += static_cast<float>(digits) * kDigitStep * scale[0][row];
          }
          if constexpr (Layout::kOffsets == 2)
            product -= offset[0][row] * static_cast<float>(x->negative_half_sums[0][t]) +
                       offset[1][row] * static_cast<float>(x->negative_half_sums[1][t]);
          float sum = args.sums[16 * t + row] + product * x->scale[t];
          if constexpr (Layout::kOffsets == 1) sum += offset[0][row] * x->scaled_sum[t];
          args.sums[16 * t + row] = sum;
        }
      }
    }
  }
}

float Widen(float value) { return value; }
float Widen(F16 value) { return ToFloat(value); }
float Widen(Bf16 value) { return ToFloat(value); }

template <typename Layout, int kTokens>
void RunFloat(const TileArgs& args) {
  const auto* block = reinterpret_cast<const typename Layout::Block*>(args.weights);
  const auto* x = reinterpret_cast<const float*>(args.activations);
  for (int i = 0; i < 16 * kTokens; ++i) args.sums[i] = 0.0f;
  for (int64_t k = 0; k < args.n_cols; ++k, ++block) {
    float weights[16];
    for (int row = 0; row < 16; ++row) weights[row] = Widen(block->values[row]);
    for (int t = 0; t < kTokens; ++t) {
      const float value = x[t * args.activation_stride + k];
      for (int row = 0; row < 16; ++row) args.sums[16 * t + row] += weights[row] * value;
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
