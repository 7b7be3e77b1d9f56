#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/cpu/thread_pool.h"

namespace forge {

// Calls fn(begin, end) for ranges that cover [0, n_rows), on the pool when the loop is worth waking
// it. `row_cost` is the work of a row in elements touched, each about a nanosecond's fraction.
inline void ParallelRows(ThreadPool& pool, int64_t n_rows, int64_t row_cost,
                         FunctionRef<void(int64_t begin, int64_t end)> fn) {
  // Waking a worker costs as much as some 20,000 elements; a chunk of 8,000 takes some
  // microseconds.
  constexpr int64_t kWorthWaking = 32768;
  constexpr int64_t kChunkCost = 8192;
  if (n_rows <= 0) return;
  row_cost = std::max<int64_t>(row_cost, 1);
  if (n_rows * row_cost < kWorthWaking) return fn(0, n_rows);
  const int64_t chunk_rows = std::max<int64_t>(1, kChunkCost / row_cost);
  pool.ParallelFor((n_rows + chunk_rows - 1) / chunk_rows, [&](int64_t chunk, int) {
    fn(chunk * chunk_rows, std::min(n_rows, (chunk + 1) * chunk_rows));
  });
}

}  // namespace forge
