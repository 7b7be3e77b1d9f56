#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "kernels/base/result.h"
#include "kernels/cpu/thread_pool.h"

namespace forge {

// What the machine gives at this moment. Neighbours move these from minute to minute, so speeds are
// judged by their share of the probes of the same run.
struct MachineLimits {
  double read_gbs = 0;   // GB/s that all threads together read from memory
  double int8_gops = 0;  // 10^9 int8 multiplications and additions per second; 0: not measured
  double f32_gflops = 0;
  double bf16_gflops = 0;  // of a GPU's matrix units; 0: none, or not a GPU
};

// Reads every byte once, on all threads, in chunks of 256 KiB; what is left at the end is not read.
// Returns the sum of its 64-bit words, which wraps around.
uint64_t ReadAll(const std::byte* data, int64_t bytes, ThreadPool& pool);

// Measures them on threads of its own, as many as the engine has. Each figure is the best of some
// rounds of a few milliseconds. Not thread-safe.
class Probes {
 public:
  // Takes 256 MiB, more than caches hold, in pages as weights are in. Errors as ThreadPool::Create
  // and AllocatePages; `n_threads` 0: as the CPU device would.
  static Result<std::unique_ptr<Probes>> Create(int n_threads);
  ~Probes();
  Probes(const Probes&) = delete;
  Probes& operator=(const Probes&) = delete;

  int n_threads() const { return pool_->n_threads(); }
  MachineLimits Measure();
  double MeasureRead();

 private:
  Probes(std::unique_ptr<ThreadPool> pool, std::byte* memory);
  template <typename Kernel>
  double Peak(const Kernel& kernel);

  const std::unique_ptr<ThreadPool> pool_;
  std::byte* const memory_;
};

}  // namespace forge
