#include <algorithm>
#include <chrono>

#include "bench/gpu.h"
#include "bench/gpu_matrix_probe.h"
#include "kernels/hip/gpu_runtime.h"
#include "kernels/hip/hip_device.h"
#include "kernels/hip/hip_status.h"

namespace forge {
namespace {

constexpr int kRounds = 20;

// Seconds of the fastest of some copies.
Result<double> FastestCopy(void* to, const void* from, size_t bytes, hipStream_t stream) {
  double best = 1e9;
  for (int i = 0; i < kRounds; ++i) {
    const auto start = std::chrono::steady_clock::now();
    FORGE_TRY(CheckHip(hipMemcpyAsync(to, from, bytes, hipMemcpyDeviceToDevice, stream), "a copy"));
    FORGE_TRY(CheckHip(hipStreamSynchronize(stream), "a copy"));
    const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
    best = std::min(best, time.count());
  }
  return best;
}

// Seconds of one launch of the matrix probe.
Result<double> TimeMatrixProbe(int n_blocks, int n_rounds, float* out, HipStream& stream) {
  const auto start = std::chrono::steady_clock::now();
  FORGE_TRY(LaunchMatrixProbe(n_blocks, n_rounds, out, stream));
  FORGE_TRY(stream.Synchronize());
  const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
  return time.count();
}

// Rounds grow until a launch is long against what starting it takes.
Result<double> FindMatrixRate(int n_blocks, float* out, HipStream& stream) {
  constexpr double kLongSeconds = 0.02;
  double best = 0;
  for (int n_rounds = 4; n_rounds <= 1 << 20; n_rounds *= 4) {
    FORGE_ASSIGN_OR_RETURN(const double seconds, TimeMatrixProbe(n_blocks, n_rounds, out, stream));
    const double operations = MatrixProbeOperations(n_blocks, n_rounds, stream.wave_size());
    best = std::max(best, operations / seconds / 1e9);
    if (seconds > kLongSeconds) break;
  }
  return best;
}

}  // namespace

Result<std::unique_ptr<Device>> OpenGpu(int index) { return CreateHipDevice({.index = index}); }

Result<double> MeasureGpuCopyRate(int index) {
  FORGE_TRY(CheckHip(hipSetDevice(index), "hipSetDevice"));
  size_t free = 0, total = 0;
  FORGE_TRY(CheckHip(hipMemGetInfo(&free, &total), "hipMemGetInfo"));
  const size_t bytes = std::min<size_t>(size_t{1} << 30, free / 4) / 4096 * 4096;
  void* from = nullptr;
  void* to = nullptr;
  hipStream_t stream = nullptr;
  FORGE_TRY(CheckHip(hipMalloc(&from, bytes), "hipMalloc"));
  FORGE_TRY(CheckHip(hipMalloc(&to, bytes), "hipMalloc"));
  FORGE_TRY(CheckHip(hipStreamCreateWithFlags(&stream, hipStreamNonBlocking), "hipStreamCreate"));
  const Result<double> seconds = FastestCopy(to, from, bytes, stream);
  static_cast<void>(hipStreamDestroy(stream));
  static_cast<void>(hipFree(to));
  static_cast<void>(hipFree(from));
  if (!seconds.ok()) return seconds.status();
  return 2.0 * static_cast<double>(bytes) / *seconds / 1e9;
}

Result<double> MeasureGpuMatrixRate(int index) {
  constexpr int kBlocksOfUnit = 4;
  FORGE_ASSIGN_OR_RETURN(const std::unique_ptr<Device> device, OpenGpu(index));
  FORGE_ASSIGN_OR_RETURN(const std::unique_ptr<Stream> stream, device->CreateStream());
  HipStream& hip = AsHip(*stream);
  if (!hip.traits().MultipliesBf16()) return 0.0;
  const int n_blocks = kBlocksOfUnit * std::max(1, hip.traits().n_units);
  const auto bytes = static_cast<uint64_t>(n_blocks) * kMatrixProbeThreads * sizeof(float);
  FORGE_ASSIGN_OR_RETURN(void* const out, device->Allocate(bytes));
  const Result<double> rate = FindMatrixRate(n_blocks, static_cast<float*>(out), hip);
  device->Free(out, bytes);
  return rate;
}

}  // namespace forge
