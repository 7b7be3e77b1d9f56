#pragma once

// The matrix units of the GPUs behind one interface; a part of gpu_runtime.h like
// gpu_runtime_cuda.h, and like it a place that names what it runs on.
//
//   unit                          where
//   mma.m16n8k32, m16n8k16        NVIDIA from sm_80 on
//   v_wmma_i32_16x16x16_iu8       AMD gfx11 and gfx12, waves of 32
//   v_mfma_i32_16x16x16_i8        AMD gfx908, gfx90a, waves of 64
//   v_mfma_i32_16x16x32_i8        AMD gfx94x, gfx950, waves of 64
//   four-byte dot products        everywhere else, and on the emulator

#include <cstdint>
#include <string_view>

#include "kernels/hip/gpu_runtime.h"

namespace forge {

#if defined(FORGE_GPU_CUDA) && defined(__CUDA_ARCH__)
#define FORGE_MATRIX_CUDA
#elif defined(__gfx1100__) || defined(__gfx1101__) || defined(__gfx1102__) || \
    defined(__gfx1103__) || defined(__gfx1150__) || defined(__gfx1151__) ||   \
    defined(__gfx1152__) || defined(__gfx1153__)
#define FORGE_MATRIX_WMMA
#elif defined(__gfx1200__) || defined(__gfx1201__)
#define FORGE_MATRIX_WMMA_GFX12
#elif defined(__gfx908__) || defined(__gfx90a__)
#define FORGE_MATRIX_MFMA
#elif defined(__gfx940__) || defined(__gfx941__) || defined(__gfx942__) || defined(__gfx950__)
#define FORGE_MATRIX_MFMA_GFX94
#endif

// Whether kernels for a target (TargetName) use its matrix units. The targets are those above:
// another of the same family may have units, but no code for them.
inline bool HasMatrixUnits(std::string_view target) {
  if (target == "emulated") return true;
  constexpr std::string_view kCuda = "sm_";
  if (target.starts_with(kCuda))  // "sm_80", "sm_120"
    return target.size() > kCuda.size() + 2 || target.substr(kCuda.size()) >= "80";
  const std::string_view name = target.substr(0, target.find(':'));  // without its features
  for (const std::string_view known :
       {"gfx1100", "gfx1101", "gfx1102", "gfx1103", "gfx1150", "gfx1151", "gfx1152", "gfx1153",
        "gfx1200", "gfx1201", "gfx908", "gfx90a", "gfx940", "gfx941", "gfx942", "gfx950"})
    if (name == known) return true;
  return false;
}

// Whether its units take subnormal F16 numbers, of which matrices have some, for zeros: MI200's do.
// https://rocm.docs.amd.com/projects/MIOpen/en/latest/MI200AlternateImplementation.html
inline bool FlushesSubnormals(std::string_view target) { return target.starts_with("gfx90a"); }

// The product of 16 rows of signed bytes with 16 others: c[m, n] += sum_k a[m, k] * b[n, k] for the
// 16 bytes of each, and for 32 at once. Its 256 numbers are spread over a wave: a lane has kValues
// of them, number i being that of row Row(lane, i) of `a` and row Column(lane, i) of `b`.
//
// All lanes of a wave take part. Operands are read from shared memory, 16-byte aligned.
template <int kWave>
struct ByteTile {
  static constexpr int kValues = 256 / kWave;
  struct Operand {
    const int8_t* rows;
    int stride;
    int lane;
  };
  // `rows` are `stride` bytes apart, a multiple of 16.
  static FORGE_DEVICE Operand Load(const int8_t* rows, int stride, int lane) {
    return {rows, stride, lane};
  }
  static FORGE_DEVICE int Row(int lane, int i) { return lane / 16 * kValues + i; }
  static FORGE_DEVICE int Column(int lane, int) { return lane % 16; }
  static FORGE_DEVICE void MultiplyAdd(const Operand& a, const Operand& b, int (&c)[kValues]) {
    const auto* column =
        reinterpret_cast<const int*>(b.rows + Column(a.lane, 0) * static_cast<int64_t>(b.stride));
    FORGE_UNROLL
    for (int i = 0; i < kValues; ++i) {
      const auto* row =
          reinterpret_cast<const int*>(a.rows + Row(a.lane, i) * static_cast<int64_t>(a.stride));
      FORGE_UNROLL
      for (int k = 0; k < 4; ++k) c[i] = Dot4(row[k], column[k], c[i]);
    }
  }
  // The bytes of `low` and, after them, those of `high`.
  static FORGE_DEVICE void MultiplyAdd32(const Operand& a_low, const Operand& a_high,
                                         const Operand& b_low, const Operand& b_high,
                                         int (&c)[kValues]) {
    MultiplyAdd(a_low, b_low, c);
    MultiplyAdd(a_high, b_high, c);
  }
};

#if defined(FORGE_MATRIX_CUDA)

template <>
struct ByteTile<32> {
  static constexpr int kValues = 8;
  struct Operand {
    uint32_t upper, lower;  // rows lane / 4 and 8 below, bytes 4 * (lane % 4) and on
  };
  static FORGE_DEVICE Operand Load(const int8_t* rows, int stride, int lane) {
    const int8_t* at = rows + lane / 4 * stride + lane % 4 * 4;
    return {*reinterpret_cast<const uint32_t*>(at),
            *reinterpret_cast<const uint32_t*>(at + 8 * stride)};
  }
  static FORGE_DEVICE int Row(int lane, int i) { return lane / 4 + i % 4 / 2 * 8; }
  static FORGE_DEVICE int Column(int lane, int i) { return i / 4 * 8 + lane % 4 * 2 + i % 2; }
  static FORGE_DEVICE void MultiplyAdd(const Operand& a, const Operand& b, int (&c)[kValues]) {
    asm("mma.sync.aligned.m16n8k16.row.col.s32.s8.s8.s32 {%0, %1, %2, %3}, {%4, %5}, {%6}, "
        "{%0, %1, %2, %3};"
        : "+r"(c[0]), "+r"(c[1]), "+r"(c[2]), "+r"(c[3])
        : "r"(a.upper), "r"(a.lower), "r"(b.upper));
    asm("mma.sync.aligned.m16n8k16.row.col.s32.s8.s8.s32 {%0, %1, %2, %3}, {%4, %5}, {%6}, "
        "{%0, %1, %2, %3};"
        : "+r"(c[4]), "+r"(c[5]), "+r"(c[6]), "+r"(c[7])
        : "r"(a.upper), "r"(a.lower), "r"(b.lower));
  }
  static FORGE_DEVICE void MultiplyAdd32(const Operand& a_low, const Operand& a_high,
                                         const Operand& b_low, const Operand& b_high,
                                         int (&c)[kValues]) {
    asm("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
        "{%8, %9}, {%0, %1, %2, %3};"
        : "+r"(c[0]), "+r"(c[1]), "+r"(c[2]), "+r"(c[3])
        : "r"(a_low.upper), "r"(a_low.lower), "r"(a_high.upper), "r"(a_high.lower),
          "r"(b_low.upper), "r"(b_high.upper));
    asm("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
        "{%8, %9}, {%0, %1, %2, %3};"
        : "+r"(c[4]), "+r"(c[5]), "+r"(c[6]), "+r"(c[7])
        : "r"(a_low.upper), "r"(a_low.lower), "r"(a_high.upper), "r"(a_high.lower),
          "r"(b_low.lower), "r"(b_high.lower));
  }
};

#elif defined(FORGE_MATRIX_WMMA) || defined(FORGE_MATRIX_WMMA_GFX12)

template <>
struct ByteTile<32> {
  static constexpr int kValues = 8;
  using Words8 = int __attribute__((ext_vector_type(8)));
#if defined(FORGE_MATRIX_WMMA)
  using RowWords = int __attribute__((ext_vector_type(4)));
#else
  using RowWords = int __attribute__((ext_vector_type(2)));
#endif
  // Of row lane % 16; gfx11 wants all of it in both halves of a wave, gfx12 half of it in each.
  struct Operand {
    RowWords words;
  };
  static FORGE_DEVICE Operand Load(const int8_t* rows, int stride, int lane) {
#if defined(FORGE_MATRIX_WMMA)
    const int first = 0;
#else
    const int first = lane / 16 * 8;
#endif
    return {*reinterpret_cast<const RowWords*>(rows + lane % 16 * stride + first)};
  }
  static FORGE_DEVICE int Row(int lane, int i) {
#if defined(FORGE_MATRIX_WMMA)
    return 2 * i + lane / 16;
#else
    return lane / 16 * 8 + i;
#endif
  }
  static FORGE_DEVICE int Column(int lane, int) { return lane % 16; }
  static FORGE_DEVICE void MultiplyAdd(const Operand& a, const Operand& b, int (&c)[kValues]) {
    Words8 sums;
    FORGE_UNROLL
    for (int i = 0; i < kValues; ++i) sums[i] = c[i];
#if defined(FORGE_MATRIX_WMMA)
    sums = __builtin_amdgcn_wmma_i32_16x16x16_iu8_w32(true, a.words, true, b.words, sums, false);
#else
    sums =
        __builtin_amdgcn_wmma_i32_16x16x16_iu8_w32_gfx12(true, a.words, true, b.words, sums, false);
#endif
    FORGE_UNROLL
    for (int i = 0; i < kValues; ++i) c[i] = sums[i];
  }
  static FORGE_DEVICE void MultiplyAdd32(const Operand& a_low, const Operand& a_high,
                                         const Operand& b_low, const Operand& b_high,
                                         int (&c)[kValues]) {
    MultiplyAdd(a_low, b_low, c);
    MultiplyAdd(a_high, b_high, c);
  }
};

#elif defined(FORGE_MATRIX_MFMA) || defined(FORGE_MATRIX_MFMA_GFX94)

template <>
struct ByteTile<64> {
  static constexpr int kValues = 4;
  using Words4 = int __attribute__((ext_vector_type(4)));
  struct Operand {
    uint32_t bytes;  // of row lane % 16, from byte 4 * (lane / 16) on
  };
  static FORGE_DEVICE Operand Load(const int8_t* rows, int stride, int lane) {
    return {*reinterpret_cast<const uint32_t*>(rows + lane % 16 * stride + lane / 16 * 4)};
  }
  static FORGE_DEVICE int Row(int lane, int i) { return lane / 16 * 4 + i; }
  static FORGE_DEVICE int Column(int lane, int) { return lane % 16; }
#if defined(FORGE_MATRIX_MFMA)
  static FORGE_DEVICE void MultiplyAdd(const Operand& a, const Operand& b, int (&c)[kValues]) {
    Words4 sums = {c[0], c[1], c[2], c[3]};
    sums = __builtin_amdgcn_mfma_i32_16x16x16i8(static_cast<int>(a.bytes),
                                                static_cast<int>(b.bytes), sums, 0, 0, 0);
    FORGE_UNROLL
    for (int i = 0; i < kValues; ++i) c[i] = sums[i];
  }
  static FORGE_DEVICE void MultiplyAdd32(const Operand& a_low, const Operand& a_high,
                                         const Operand& b_low, const Operand& b_high,
                                         int (&c)[kValues]) {
    MultiplyAdd(a_low, b_low, c);
    MultiplyAdd(a_high, b_high, c);
  }
#else
  static FORGE_DEVICE void MultiplyAdd(const Operand& a, const Operand& b, int (&c)[kValues]) {
    MultiplyAdd32(a, {0}, b, {0}, c);
  }
  // The unit's order of the 32 bytes is another; the operands' are the same, so that it is no
  // matter.
  static FORGE_DEVICE void MultiplyAdd32(const Operand& a_low, const Operand& a_high,
                                         const Operand& b_low, const Operand& b_high,
                                         int (&c)[kValues]) {
    Words4 sums = {c[0], c[1], c[2], c[3]};
    sums = __builtin_amdgcn_mfma_i32_16x16x32_i8(Join(a_low, a_high), Join(b_low, b_high), sums, 0,
                                                 0, 0);
    FORGE_UNROLL
    for (int i = 0; i < kValues; ++i) c[i] = sums[i];
  }

 private:
  static FORGE_DEVICE long Join(const Operand& low, const Operand& high) {
    return static_cast<long>(uint64_t{high.bytes} << 32 | low.bytes);
  }
#endif
};

#endif

}  // namespace forge
