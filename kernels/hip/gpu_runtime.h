#pragma once

// The GPU runtime of this build, under HIP's names: the only place that names HIP, CUDA or the
// emulator. A .hip source includes this header (through kernels/hip/launch.h, if it launches) and
// builds unchanged with
//   FORGE_GPU_ROCM      hipcc, for AMD;
//   FORGE_GPU_CUDA      nvcc, where the names below stand for CUDA's;
//   FORGE_GPU_EMULATED  the host's compiler, against tests/hip_emulator/.
//
// What kernels write:
//   __global__, __device__, __launch_bounds__, __restrict__, threadIdx, blockIdx, blockDim,
//   gridDim, dim3, __syncthreads(), __threadfence(), atomicAdd/Max/Min/Exch/CAS, expf, tanhf,
//   rsqrtf, ... FORGE_DEVICE                           an inline function of the device
//   FORGE_SHARED(float, partial, 32);      a static array in shared memory, aligned to 16 bytes;
//                                          `partial` is used as a float*, so no sizeof
//   FORGE_DYNAMIC_SHARED(float, scores);   the launch's dynamic shared memory, aligned to 16 bytes
//   ShuffleXor<kWidth>(v, mask), ShuffleDown<kWidth>(v, delta), Shuffle<kWidth>(v, lane): within
//                                          groups of kWidth lanes, at most a wave; 4- or 8-byte v
//   Ballot(p)                              bit i: lane i of the wave, up to 64
//   SyncWave()                             orders shared memory among the lanes of a wave
//   Dot4(a, b, c)                          c + four products of signed bytes
//   LookUpBytes(table, indices)            four bytes of a table of sixteen
//   FORGE_UNROLL, FORGE_NO_UNROLL          before a loop: unroll it, or leave it a loop
//   HalfToFloat, FloatToHalf               as kernels/base/half.h, by instruction where there is
//   one
//
// A wave has 32 or 64 lanes, by device: kernels take it as a template parameter and launchers
// dispatch on HipStream::wave_size(). CUDA only ever runs the instance for 32.
//
// Rules that hold everywhere, and that the emulator enforces: all threads of a block reach each
// __syncthreads, none having returned; all lanes of a wave reach each shuffle, ballot and SyncWave;
// blocks do not wait for each other; the last wave of a block is full, so a block's size is a
// multiple of the wave.

#include <bit>
#include <cstdint>
#include <string>

#include "kernels/base/half.h"

#if defined(FORGE_GPU_ROCM)
#include <hip/hip_runtime.h>
#elif defined(FORGE_GPU_CUDA)
#include "kernels/hip/gpu_runtime_cuda.h"
#elif defined(FORGE_GPU_EMULATED)
#include "tests/hip_emulator/hip_runtime.h"
#else
#error "configure with -DFORGE_GPU=rocm, cuda or emulated"
#endif

#if defined(FORGE_GPU_EMULATED)

#define FORGE_DEVICE inline
#define FORGE_UNROLL
#define FORGE_NO_UNROLL
#define FORGE_SHARED(type, name, count)  \
  static char name##_site;               \
  type* const name = static_cast<type*>( \
      ::forge::emulator::SharedArray(&name##_site, #name, sizeof(type) * (count)))
#define FORGE_DYNAMIC_SHARED(type, name) \
  type* const name = static_cast<type*>(::forge::emulator::DynamicShared())

#else

#define FORGE_DEVICE __device__ __forceinline__
#define FORGE_UNROLL _Pragma("unroll")
#define FORGE_NO_UNROLL _Pragma("unroll 1")
#define FORGE_SHARED(type, name, count) __shared__ __attribute__((aligned(16))) type name[count]
#define FORGE_DYNAMIC_SHARED(type, name)                                               \
  extern __shared__ __attribute__((aligned(16))) unsigned char forge_dynamic_shared[]; \
  type* const name = reinterpret_cast<type*>(forge_dynamic_shared)

#endif

namespace forge {

#if defined(FORGE_GPU_EMULATED)

template <int kWidth, typename T>
T ShuffleXor(T value, int lane_mask, int line = __builtin_LINE()) {
  return emulator::WaveShuffle(value, emulator::ShuffleKind::kXor, lane_mask, kWidth, line);
}
template <int kWidth, typename T>
T ShuffleDown(T value, int delta, int line = __builtin_LINE()) {
  return emulator::WaveShuffle(value, emulator::ShuffleKind::kDown, delta, kWidth, line);
}
template <int kWidth, typename T>
T Shuffle(T value, int lane, int line = __builtin_LINE()) {
  return emulator::WaveShuffle(value, emulator::ShuffleKind::kIndex, lane, kWidth, line);
}
inline uint64_t Ballot(bool predicate, int line = __builtin_LINE()) {
  return emulator::WaveVote(predicate, line);
}
inline void SyncWave(int line = __builtin_LINE()) { emulator::WaveBarrier(line); }

#elif defined(FORGE_GPU_ROCM)

template <int kWidth, typename T>
FORGE_DEVICE T ShuffleXor(T value, int lane_mask) {
  return __shfl_xor(value, lane_mask, kWidth);
}
template <int kWidth, typename T>
FORGE_DEVICE T ShuffleDown(T value, int delta) {
  return __shfl_down(value, static_cast<unsigned>(delta), kWidth);
}
template <int kWidth, typename T>
FORGE_DEVICE T Shuffle(T value, int lane) {
  return __shfl(value, lane, kWidth);
}
FORGE_DEVICE uint64_t Ballot(bool predicate) { return __ballot(predicate ? 1 : 0); }
FORGE_DEVICE void SyncWave() {
  // The lanes of a wave run in step; what must not happen is that the compiler reorders.
  __builtin_amdgcn_fence(__ATOMIC_RELEASE, "wavefront");
  __builtin_amdgcn_wave_barrier();
  __builtin_amdgcn_fence(__ATOMIC_ACQUIRE, "wavefront");
}

#else

template <int kWidth, typename T>
FORGE_DEVICE T ShuffleXor(T value, int lane_mask) {
  return __shfl_xor_sync(0xffffffffu, value, lane_mask, kWidth);
}
template <int kWidth, typename T>
FORGE_DEVICE T ShuffleDown(T value, int delta) {
  return __shfl_down_sync(0xffffffffu, value, static_cast<unsigned>(delta), kWidth);
}
template <int kWidth, typename T>
FORGE_DEVICE T Shuffle(T value, int lane) {
  return __shfl_sync(0xffffffffu, value, lane, kWidth);
}
FORGE_DEVICE uint64_t Ballot(bool predicate) {
  return __ballot_sync(0xffffffffu, predicate ? 1 : 0);
}
FORGE_DEVICE void SyncWave() { __syncwarp(); }

#endif

// c + sum of a.b[i] * b.b[i] over the four signed bytes of each.
FORGE_DEVICE int Dot4(int a, int b, int c) {
#if defined(__gfx1100__) || defined(__gfx1101__) || defined(__gfx1102__) || \
    defined(__gfx1103__) || defined(__gfx1150__) || defined(__gfx1151__) || \
    defined(__gfx1152__) || defined(__gfx1153__) || defined(__gfx1200__) || defined(__gfx1201__)
  return __builtin_amdgcn_sudot4(true, a, true, b, c, false);
#elif defined(__gfx906__) || defined(__gfx908__) || defined(__gfx90a__) || defined(__gfx940__) || \
    defined(__gfx941__) || defined(__gfx942__) || defined(__gfx950__) || defined(__gfx1011__) ||  \
    defined(__gfx1012__) || defined(__gfx1030__) || defined(__gfx1031__) ||                       \
    defined(__gfx1032__) || defined(__gfx1033__) || defined(__gfx1034__) ||                       \
    defined(__gfx1035__) || defined(__gfx1036__)
  return __builtin_amdgcn_sdot4(a, b, c, false);
#elif defined(FORGE_GPU_CUDA) && defined(__CUDA_ARCH__)
  return __dp4a(a, b, c);
#else
  for (int shift = 0; shift < 32; shift += 8)
    c += static_cast<int8_t>(a >> shift) * static_cast<int8_t>(b >> shift);
  return c;
#endif
}

// The bytes of `table` at the four indices that the bytes of `indices` are, each below 16; byte i
// of the table is in word i / 4, lowest first.
FORGE_DEVICE uint32_t LookUpBytes(const uint32_t (&table)[4], uint32_t indices) {
#if defined(FORGE_GPU_ROCM) && defined(__HIP_DEVICE_COMPILE__)
  const uint32_t within = indices & 0x07070707u;
  const uint32_t low = __builtin_amdgcn_perm(table[1], table[0], within);
  const uint32_t high = __builtin_amdgcn_perm(table[3], table[2], within);
  return __builtin_amdgcn_perm(high, low, 0x03020100u | (indices & 0x08080808u) >> 1);
#elif defined(FORGE_GPU_CUDA) && defined(__CUDA_ARCH__)
  const uint32_t nibbles = __byte_perm(indices | indices >> 4, 0, 0x4420);
  const uint32_t low = __byte_perm(table[0], table[1], nibbles & 0x7777u);
  const uint32_t high = __byte_perm(table[2], table[3], nibbles & 0x7777u);
  return __byte_perm(low, high, 0x3210u | (nibbles & 0x8888u) >> 1);
#else
  uint32_t bytes = 0;
  for (int shift = 0; shift < 32; shift += 8) {
    const uint32_t index = indices >> shift & 15;
    bytes |= (table[index / 4] >> (index % 4 * 8) & 255) << shift;
  }
  return bytes;
#endif
}

// Exact, as ToFloat(F16).
FORGE_DEVICE float HalfToFloat(F16 h) {
#if defined(FORGE_GPU_ROCM) && defined(__HIP_DEVICE_COMPILE__)
  return static_cast<float>(std::bit_cast<_Float16>(h.bits));
#elif defined(FORGE_GPU_CUDA) && defined(__CUDA_ARCH__)
  return __half2float(__ushort_as_half(h.bits));
#else
  return ToFloat(h);
#endif
}

// Rounds to nearest, ties to even, as ToF16.
FORGE_DEVICE F16 FloatToHalf(float value) {
#if defined(FORGE_GPU_ROCM) && defined(__HIP_DEVICE_COMPILE__)
  return {std::bit_cast<uint16_t>(static_cast<_Float16>(value))};
#elif defined(FORGE_GPU_CUDA) && defined(__CUDA_ARCH__)
  return {__half_as_ushort(__float2half_rn(value))};
#else
  return ToF16(value);
#endif
}

// The instruction set of a device: "gfx1100", "sm_90", "emulated".
inline std::string TargetName(const hipDeviceProp_t& properties) {
#if defined(FORGE_GPU_CUDA)
  return "sm_" + std::to_string(properties.major * 10 + properties.minor);
#else
  return properties.gcnArchName;
#endif
}

// Where the driver shows what it knows of GPUs: a folder with sys/ and proc/.
inline std::string DefaultSystemRoot() {
#if defined(FORGE_GPU_EMULATED)
  return emulator::SystemRootText();
#else
  return "/";
#endif
}

}  // namespace forge
