#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include "kernels/base/function_ref.h"
#include "kernels/base/mutex.h"
#include "kernels/base/result.h"

namespace forge {

// Runs the chunks of one loop at a time on the calling thread and n_threads - 1 workers.
//
// Threads take chunks one by one, so a thread that the system holds up delays only its own chunk,
// and a worker that has not woken up yet is not waited for. Idle workers look for work for some
// microseconds and then sleep without using the processor.
//
// Thread-safe: loops of several callers run one after another.
class ThreadPool {
 public:
  // kInvalidArgument unless n_threads is in [1, 4096], kResourceExhausted if the system refuses a
  // thread.
  static Result<std::unique_ptr<ThreadPool>> Create(int n_threads);
  // REQUIRES: no ParallelFor is running.
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int n_threads() const { return n_threads_; }

  // Calls fn(chunk, thread) once for each chunk in [0, n_chunks), in rising order on each thread,
  // and returns when all calls have; thread is in [0, n_threads) and no two calls with the same
  // thread overlap. What the calls wrote is visible to the caller afterwards. A single chunk runs
  // on the calling thread and wakes nobody.
  // REQUIRES: 0 <= n_chunks < 2^32; fn throws nothing and does not call ParallelFor of the same
  // pool.
  void ParallelFor(int64_t n_chunks, FunctionRef<void(int64_t chunk, int thread)> fn);

 private:
  using ChunkFunction = FunctionRef<void(int64_t, int)>;

  explicit ThreadPool(int n_threads) : n_threads_(n_threads) {}
  Status StartWorkers();
  void RunWorker(int thread);
  // Takes and runs chunks of the current loop until none is left.
  void RunChunks(int thread);
  void WakeWorkers(uint32_t n_workers);
  // Returns when `loops_` no longer is `seen`.
  void WaitForLoop(uint32_t seen);
  void WaitForChunks();

  // Constant after construction.
  const int n_threads_;
  std::vector<std::thread> workers_;

  Mutex loop_mutex_;  // held while a loop runs

  // The current loop. Written while `untaken_` counts no chunk; read by a thread that holds one.
  const ChunkFunction* fn_ = nullptr;
  uint32_t n_chunks_ = 0;

  // Low half: chunks of the current loop that nobody has taken. High half: the loop's number, so
  // that a thread held up between reading and taking cannot take from a later loop by mistake.
  alignas(64) std::atomic<uint64_t> untaken_ = 0;
  alignas(64) std::atomic<uint32_t> unfinished_ =
      0;  // chunks of the current loop not reported done
  std::atomic<bool> caller_sleeps_ = false;
  alignas(64) std::atomic<uint32_t> loops_ = 0;  // number of loops started; workers sleep on it
  std::atomic<int32_t> n_sleeping_ = 0;
  std::atomic<bool> stop_ = false;
};

}  // namespace forge
