#include <algorithm>
#include <chrono>

#include "bench/gpu.h"
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

}  // namespace forge
