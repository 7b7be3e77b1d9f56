#include "bench/gpu_matrix_probe.h"
#include "kernels/hip/gpu_matrix_half.h"
#include "kernels/hip/launch.h"

namespace forge {
namespace {

constexpr int kThreads = kMatrixProbeThreads;
constexpr int kRows = 2;     // operands of 16 rows on one side
constexpr int kColumns = 4;  // and on the other: enough products that do not wait for each other
constexpr int kStride = 24;

template <int kWave>
__global__ void __launch_bounds__(kThreads) MatrixProbeKernel(int n_rounds, float* out) {
  if constexpr (kMultipliesHalves<kWave>) {
    using Tile = HalfTile<Bf16, kWave>;
    constexpr int kElements = (kRows + kColumns) * 16 * kStride;
    FORGE_SHARED(Bf16, elements, kElements);
    const int thread = static_cast<int>(threadIdx.x);
    // 1 and -1, so that sums stay small.
    for (int i = thread; i < kElements; i += kThreads)
      elements[i] = Bf16{static_cast<uint16_t>(i % 3 == 0 ? 0xbf80 : 0x3f80)};
    __syncthreads();
    const int lane = thread % kWave;
    typename Tile::Operand rows[kRows], columns[kColumns];
    FORGE_UNROLL
    for (int i = 0; i < kRows; ++i)
      rows[i] = Tile::Load(elements + i * 16 * kStride, kStride, lane);
    FORGE_UNROLL
    for (int j = 0; j < kColumns; ++j)
      columns[j] = Tile::Load(elements + (kRows + j) * 16 * kStride, kStride, lane);
    float sums[kRows][kColumns][Tile::kValues] = {};
    FORGE_NO_UNROLL
    for (int round = 0; round < n_rounds; ++round) {
      FORGE_UNROLL
      for (int i = 0; i < kRows; ++i) {
        FORGE_UNROLL
        for (int j = 0; j < kColumns; ++j) Tile::MultiplyAdd(rows[i], columns[j], sums[i][j]);
      }
    }
    float total = 0.0f;
    FORGE_UNROLL
    for (int i = 0; i < kRows; ++i) {
      FORGE_UNROLL
      for (int j = 0; j < kColumns; ++j) {
        FORGE_UNROLL
        for (int v = 0; v < Tile::kValues; ++v) total += sums[i][j][v];
      }
    }
    out[static_cast<int64_t>(blockIdx.x) * kThreads + thread] = total;
  }
  if constexpr (!kMultipliesHalves<kWave>) NeverLaunched();
}

}  // namespace

double MatrixProbeOperations(int n_blocks, int n_rounds, int wave_size) {
  const double of_wave = 2.0 * 16 * 16 * 16 * kRows * kColumns * n_rounds;
  return of_wave * n_blocks * kThreads / wave_size;
}

Status LaunchMatrixProbe(int n_blocks, int n_rounds, float* out, HipStream& stream) {
  auto* kernel = MatrixProbeKernel<32>;
#if !defined(FORGE_GPU_CUDA)
  if (stream.wave_size() == 64) kernel = MatrixProbeKernel<64>;
#endif
  return LaunchKernel("matrix_probe", kernel,
                      {.grid = static_cast<unsigned>(n_blocks), .block = kThreads}, stream,
                      n_rounds, out);
}

}  // namespace forge
