#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <thread>
#include <vector>

#include "kernels/base/function_ref.h"
#include "kernels/base/mutex.h"
#include "kernels/base/result.h"

namespace forge {

// Memory that a thread is going to read. It is only asked for, so it may be any.
using FirstRead = std::span<const std::byte>;
using FirstReads = std::span<const FirstRead>;  // [thread]

// Runs the chunks of one loop at a time on the calling thread and n_threads - 1 workers.
//
// Each thread has a share of chunks that follow each other, so that what it reads lies in one
// piece, and takes them one by one; who is done takes over what others have not begun, from the end
// of their shares. So a thread that the system holds up delays only its own chunk, and a worker
// that has not woken up yet is not waited for. Idle workers look for work for some microseconds and
// then sleep without using the processor.
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

  // Calls fn(chunk, thread) once for each chunk in [0, n_chunks) and returns when all calls have;
  // thread is in [0, n_threads) and no two calls with the same thread overlap. A thread has the
  // chunks of its share in rising order. What the calls wrote is visible to the caller afterwards.
  // A single chunk runs on the calling thread and wakes nobody.
  // REQUIRES: 0 <= n_chunks < 2^32; fn throws nothing and does not call ParallelFor of the same
  // pool.
  //
  // While a thread waits after that, for others or for the next loop, it fetches what `next` has
  // for it into its caches, so that memory does not rest; what is left when its wait ends it
  // fetches in later waits. Where `next` has nothing for a thread it goes on with what it had.
  void ParallelFor(int64_t n_chunks, FunctionRef<void(int64_t chunk, int thread)> fn,
                   FirstReads next = {});

  // What the calling thread has not fetched yet, for tests. REQUIRES: no other thread calls.
  FirstRead unfetched() const { return shares_[0].unfetched; }

 private:
  using ChunkFunction = FunctionRef<void(int64_t, int)>;

  // What a thread has of its own.
  struct alignas(64) Share {
    std::atomic<uint64_t> untaken = 0;  // its chunks that nobody has taken, first << 32 | end
    FirstRead unfetched;                // touched by its thread alone
  };

  explicit ThreadPool(int n_threads)
      : n_threads_(n_threads), shares_(static_cast<size_t>(n_threads)) {}
  Status StartWorkers();
  void RunWorker(int thread);
  // A chunk of the current loop that nobody has taken, or -1: there is none.
  int64_t TakeChunk(int thread);
  int64_t TakeFromOthers();
  // Takes and runs chunks of the current loop until none is left.
  void RunChunks(int thread);
  void WakeWorkers(uint32_t n_workers);
  // Returns when `loops_` no longer is `seen`.
  void WaitForLoop(int thread, uint32_t seen);
  void WaitForChunks();

  // Constant after construction.
  const int n_threads_;
  std::vector<std::thread> workers_;

  Mutex loop_mutex_;  // held while a loop runs

  // The current loop. Written while all shares are empty; read by a thread that holds a chunk.
  const ChunkFunction* fn_ = nullptr;
  FirstReads next_;

  std::vector<Share> shares_;  // [thread]
  alignas(64) std::atomic<uint32_t> unfinished_ =
      0;  // chunks of the current loop not reported done
  std::atomic<bool> caller_sleeps_ = false;
  alignas(64) std::atomic<uint32_t> loops_ = 0;  // number of loops started; workers sleep on it
  std::atomic<int32_t> n_sleeping_ = 0;
  std::atomic<bool> stop_ = false;
};

}  // namespace forge
