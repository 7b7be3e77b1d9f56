#pragma once

// The matrix units' products of 16-bit floating-point numbers; see gpu_matrix.h.
//
//   unit                                    where
//   mma.m16n8k16                            NVIDIA from sm_80 on
//   v_wmma_f32_16x16x16_f16, _bf16          AMD gfx11 and gfx12, waves of 32
//   v_mfma_f32_16x16x16_f16, _bf16          AMD gfx90a, gfx94x, gfx950, waves of 64
//   v_mfma_f32_16x16x16_f16, 16x16x8_bf16   AMD gfx908, waves of 64
//   conversions and additions               on the emulator

#include "kernels/hip/gpu_matrix.h"
#include "kernels/hip/weight_reader.h"

namespace forge {

// Whether this target's waves of kWave have such units. Kernels for others are never launched (see
// HipTraits); they have no code but NeverLaunched, so that a mistake shows as a fault and not as
// results that nobody computed.
template <int kWave>
constexpr bool kMultipliesHalves =
#if defined(FORGE_GPU_EMULATED)
    true;
#elif defined(FORGE_MATRIX_CUDA) || defined(FORGE_MATRIX_WMMA) || defined(FORGE_MATRIX_WMMA_GFX12)
    kWave == 32;
#elif defined(FORGE_MATRIX_MFMA) || defined(FORGE_MATRIX_MFMA_GFX94)
    kWave == 64;
#else
    false;
#endif

FORGE_DEVICE void NeverLaunched() {
#if defined(FORGE_GPU_CUDA) && defined(__CUDA_ARCH__)
  __trap();
#elif defined(FORGE_GPU_ROCM) && defined(__HIP_DEVICE_COMPILE__)
  __builtin_trap();
#endif
}

// The product of 16 rows of F16 or Bf16 with 16 others: c[m, n] += sum_k a[m, k] * b[n, k] for the
// 16 elements of each, in float32. Spread over a wave as in ByteTile. See FlushesSubnormals.
//
// All lanes of a wave take part. Operands are read from shared memory, 16-byte aligned; rows are
// `stride` elements apart, a multiple of 8.
template <typename Element, int kWave>
struct HalfTile {
  static constexpr int kValues = ByteTile<kWave>::kValues;
  struct Operand {
    const Element* rows;
    int stride;
    int lane;
  };
  static FORGE_DEVICE Operand Load(const Element* rows, int stride, int lane) {
    return {rows, stride, lane};
  }
  static FORGE_DEVICE void MultiplyAdd(const Operand& a, const Operand& b, float (&c)[kValues]) {
    FORGE_UNROLL
    for (int i = 0; i < kValues; ++i) {
      const Element* row = a.rows + ByteTile<kWave>::Row(a.lane, i) * a.stride;
      const Element* column = b.rows + ByteTile<kWave>::Column(b.lane, i) * b.stride;
      FORGE_NO_UNROLL
      for (int k = 0; k < 16; ++k)
        c[i] = fmaf(WeightToFloat(row[k]), WeightToFloat(column[k]), c[i]);
    }
  }
};

// In all that follow a lane takes the columns of an operand that lie next to each other, which is
// not the units' order: it is the same in both operands, so that it is no matter.

#if defined(FORGE_MATRIX_CUDA)

template <typename Element>
struct HalfTile<Element, 32> {
  static constexpr int kValues = 8;
  struct Operand {
    Words2 upper, lower;  // rows lane / 4 and 8 below, elements 4 * (lane % 4) and on
  };
  static FORGE_DEVICE Operand Load(const Element* rows, int stride, int lane) {
    const Element* at = rows + lane / 4 * stride + lane % 4 * 4;
    return {*reinterpret_cast<const Words2*>(at),
            *reinterpret_cast<const Words2*>(at + 8 * stride)};
  }
  static FORGE_DEVICE void MultiplyAdd(const Operand& a, const Operand& b, float (&c)[kValues]) {
    MultiplyEight(a, b.upper, c[0], c[1], c[2], c[3]);
    MultiplyEight(a, b.lower, c[4], c[5], c[6], c[7]);
  }

 private:
  static FORGE_DEVICE void MultiplyEight(const Operand& a, const Words2& b, float& c0, float& c1,
                                         float& c2, float& c3) {
    if constexpr (std::is_same_v<Element, F16>) {
      asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, "
          "{%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
          : "+f"(c0), "+f"(c1), "+f"(c2), "+f"(c3)
          : "r"(a.upper.w[0]), "r"(a.lower.w[0]), "r"(a.upper.w[1]), "r"(a.lower.w[1]), "r"(b.w[0]),
            "r"(b.w[1]));
    } else {
      asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, "
          "{%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
          : "+f"(c0), "+f"(c1), "+f"(c2), "+f"(c3)
          : "r"(a.upper.w[0]), "r"(a.lower.w[0]), "r"(a.upper.w[1]), "r"(a.lower.w[1]), "r"(b.w[0]),
            "r"(b.w[1]));
    }
  }
};

#elif defined(FORGE_MATRIX_WMMA) || defined(FORGE_MATRIX_WMMA_GFX12)

template <typename Element>
struct HalfTile<Element, 32> {
  static constexpr int kValues = 8;
#if defined(FORGE_MATRIX_WMMA)
  static constexpr int kElements = 16;  // all of row lane % 16, in both halves of a wave
  static FORGE_DEVICE int First(int) { return 0; }
#else
  static constexpr int kElements = 8;  // half of it in each
  static FORGE_DEVICE int First(int lane) { return lane / 16 * 8; }
#endif
  using Floats8 = float __attribute__((ext_vector_type(8)));
  using Halves = _Float16 __attribute__((ext_vector_type(kElements)));
  using Shorts = short __attribute__((ext_vector_type(kElements)));
  using StoredShorts = short __attribute__((ext_vector_type(kElements), aligned(16)));
  struct Operand {
    Shorts bits;
  };
  static FORGE_DEVICE Operand Load(const Element* rows, int stride, int lane) {
    return {*reinterpret_cast<const StoredShorts*>(rows + lane % 16 * stride + First(lane))};
  }
  static FORGE_DEVICE void MultiplyAdd(const Operand& a, const Operand& b, float (&c)[kValues]) {
    Floats8 sums;
    FORGE_UNROLL
    for (int i = 0; i < kValues; ++i) sums[i] = c[i];
    if constexpr (std::is_same_v<Element, F16>) {
      const Halves a_halves = std::bit_cast<Halves>(a.bits),
                   b_halves = std::bit_cast<Halves>(b.bits);
#if defined(FORGE_MATRIX_WMMA)
      sums = __builtin_amdgcn_wmma_f32_16x16x16_f16_w32(a_halves, b_halves, sums);
#else
      sums = __builtin_amdgcn_wmma_f32_16x16x16_f16_w32_gfx12(a_halves, b_halves, sums);
#endif
    } else {
#if defined(FORGE_MATRIX_WMMA)
      sums = __builtin_amdgcn_wmma_f32_16x16x16_bf16_w32(a.bits, b.bits, sums);
#else
      sums = __builtin_amdgcn_wmma_f32_16x16x16_bf16_w32_gfx12(a.bits, b.bits, sums);
#endif
    }
    FORGE_UNROLL
    for (int i = 0; i < kValues; ++i) c[i] = sums[i];
  }
};

#elif defined(FORGE_MATRIX_MFMA) || defined(FORGE_MATRIX_MFMA_GFX94)

template <typename Element>
struct HalfTile<Element, 64> {
  static constexpr int kValues = 4;
  using Floats4 = float __attribute__((ext_vector_type(4)));
  using Halves4 = _Float16 __attribute__((ext_vector_type(4)));
  using Shorts2 = short __attribute__((ext_vector_type(2)));
  using Shorts4 = short __attribute__((ext_vector_type(4)));
  struct Operand {
    Shorts4 bits;  // of row lane % 16, from element 4 * (lane / 16) on
  };
  static FORGE_DEVICE Operand Load(const Element* rows, int stride, int lane) {
    return {*reinterpret_cast<const Shorts4*>(rows + lane % 16 * stride + lane / 16 * 4)};
  }
  static FORGE_DEVICE void MultiplyAdd(const Operand& a, const Operand& b, float (&c)[kValues]) {
    Floats4 sums = {c[0], c[1], c[2], c[3]};
    if constexpr (std::is_same_v<Element, F16>) {
      sums = __builtin_amdgcn_mfma_f32_16x16x16f16(std::bit_cast<Halves4>(a.bits),
                                                   std::bit_cast<Halves4>(b.bits), sums, 0, 0, 0);
    } else {
#if defined(__gfx908__)
      sums = __builtin_amdgcn_mfma_f32_16x16x8bf16(Shorts2{a.bits[0], a.bits[1]},
                                                   Shorts2{b.bits[0], b.bits[1]}, sums, 0, 0, 0);
      sums = __builtin_amdgcn_mfma_f32_16x16x8bf16(Shorts2{a.bits[2], a.bits[3]},
                                                   Shorts2{b.bits[2], b.bits[3]}, sums, 0, 0, 0);
#else
      sums = __builtin_amdgcn_mfma_f32_16x16x16bf16_1k(a.bits, b.bits, sums, 0, 0, 0);
#endif
    }
    FORGE_UNROLL
    for (int i = 0; i < kValues; ++i) c[i] = sums[i];
  }
};

#endif

}  // namespace forge
