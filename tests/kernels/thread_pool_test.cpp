#include "kernels/cpu/thread_pool.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <time.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <numeric>
#include <thread>
#include <vector>

namespace forge {
namespace {

std::unique_ptr<ThreadPool> MakePool(int n_threads) {
  return std::move(ThreadPool::Create(n_threads)).value();
}

TEST(ThreadPoolTest, RefusesAThreadCountOutOfRange) {
  for (const int n_threads : {-1, 0, 4097})
    EXPECT_EQ(ThreadPool::Create(n_threads).status().code(), StatusCode::kInvalidArgument);
}

TEST(ThreadPoolTest, RunsEveryChunkOnceForEveryCount) {
  for (const int n_threads : {1, 2, 3, 8}) {
    const std::unique_ptr<ThreadPool> pool = MakePool(n_threads);
    EXPECT_EQ(pool->n_threads(), n_threads);
    for (const int64_t n_chunks : {0, 1, 2, 3, 7, 8, 9, 64, 1000, 20000}) {
      std::vector<std::atomic<int>> runs(static_cast<size_t>(n_chunks));
      pool->ParallelFor(n_chunks, [&](int64_t chunk, int thread) {
        ASSERT_GE(thread, 0);
        ASSERT_LT(thread, n_threads);
        runs[static_cast<size_t>(chunk)].fetch_add(1);
      });
      for (const std::atomic<int>& run : runs) ASSERT_EQ(run.load(), 1);
    }
  }
}

// Loops that follow each other at once, with plain writes: a chunk that ran in the wrong loop, or
// before the caller's writes were visible, shows as a wrong sum (and as a race under TSan).
TEST(ThreadPoolTest, KeepsSuccessiveLoopsApart) {
  const std::unique_ptr<ThreadPool> pool = MakePool(4);
  std::vector<int64_t> cells(64);
  for (int64_t loop = 0; loop < 20000; ++loop) {
    const int64_t n_chunks = 1 + loop % 64;
    pool->ParallelFor(
        n_chunks, [&](int64_t chunk, int) { cells[static_cast<size_t>(chunk)] = loop + chunk; });
    for (int64_t chunk = 0; chunk < n_chunks; ++chunk)
      ASSERT_EQ(cells[static_cast<size_t>(chunk)], loop + chunk) << "loop " << loop;
  }
}

TEST(ThreadPoolTest, NeverOverlapsCallsOfOneThread) {
  const std::unique_ptr<ThreadPool> pool = MakePool(4);
  std::vector<int64_t> calls(4);  // not atomic: only its own thread may touch a cell
  for (int loop = 0; loop < 500; ++loop)
    pool->ParallelFor(97, [&](int64_t, int thread) { ++calls[static_cast<size_t>(thread)]; });
  EXPECT_EQ(std::accumulate(calls.begin(), calls.end(), int64_t{0}), 500 * 97);
}

TEST(ThreadPoolTest, RunsLoopsOfSeveralCallersOneAfterAnother) {
  const std::unique_ptr<ThreadPool> pool = MakePool(3);
  std::atomic<int> inside = 0;
  std::atomic<bool> overlapped = false;
  std::atomic<int64_t> total = 0;
  const auto call = [&](int caller) {
    for (int loop = 0; loop < 2000; ++loop) {
      pool->ParallelFor(1 + (loop + caller) % 5, [&](int64_t, int) {
        const int mine = 1 << (8 * caller);
        if ((inside.fetch_add(mine) & ~(0xff << (8 * caller))) != 0) overlapped.store(true);
        total.fetch_add(1);
        inside.fetch_sub(mine);
      });
    }
  };
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 3; ++caller) callers.emplace_back(call, caller);
  for (std::thread& caller : callers) caller.join();
  EXPECT_FALSE(overlapped.load());
  EXPECT_EQ(total.load(), 3 * 2000 * 3);
}

// A thread has a share of chunks that follow each other, from its first on, and then takes over
// from the end of the other's.
TEST(ThreadPoolTest, GivesEachThreadChunksThatFollowEachOther) {
  const std::unique_ptr<ThreadPool> pool = MakePool(2);
  for (int loop = 0; loop < 200; ++loop) {
    const int64_t n_chunks = 2 + loop;
    std::vector<std::vector<int64_t>> taken(2);  // [thread]
    std::atomic<int> n_started = 0;
    pool->ParallelFor(n_chunks, [&](int64_t chunk, int thread) {
      std::vector<int64_t>& mine = taken[static_cast<size_t>(thread)];
      mine.push_back(chunk);
      if (mine.size() > 1) return;
      n_started.fetch_add(1);
      while (n_started.load() < 2) std::this_thread::yield();
    });
    const int64_t middle = n_chunks / 2;
    const int64_t firsts[] = {0, middle};
    const int64_t ends[] = {middle, n_chunks};
    for (const size_t thread : {size_t{0}, size_t{1}}) {
      int64_t expected = firsts[thread];
      bool has_own = true;
      for (const int64_t chunk : taken[thread]) {
        if (has_own && (chunk < firsts[thread] || chunk >= ends[thread])) {
          has_own = false;
          expected = ends[1 - thread] - 1;
        }
        ASSERT_EQ(chunk, expected) << "thread " << thread << " of " << n_chunks << " chunks";
        expected += has_own ? 1 : -1;
      }
    }
  }
}

// A chunk that takes long is waited for, and the others do not wait for it.
TEST(ThreadPoolTest, WaitsForAThreadThatIsHeldUp) {
  const std::unique_ptr<ThreadPool> pool = MakePool(3);
  for (const int64_t slow_chunk : {0, 5, 9}) {
    std::atomic<int> n_fast = 0;
    std::atomic<bool> slow_done = false;
    pool->ParallelFor(10, [&](int64_t chunk, int) {
      if (chunk != slow_chunk) {
        n_fast.fetch_add(1);
        return;
      }
      while (n_fast.load() < 9) std::this_thread::yield();
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      slow_done.store(true);
    });
    EXPECT_TRUE(slow_done.load());
  }
}

TEST(ThreadPoolTest, WakesWorkersThatSleep) {
  const std::unique_ptr<ThreadPool> pool = MakePool(2);
  for (int i = 0; i < 20; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    std::atomic<int> n_inside = 0;
    // Two chunks that wait for each other need two threads.
    pool->ParallelFor(2, [&](int64_t, int) {
      n_inside.fetch_add(1);
      while (n_inside.load() < 2) std::this_thread::yield();
    });
  }
}

// What threads fetch while they wait need not be there, and is given to each loop anew.
TEST(ThreadPoolTest, FetchesAnyMemoryWhileItWaits) {
  const std::unique_ptr<ThreadPool> pool = MakePool(3);
  std::vector<std::byte> small(1000);
  const auto* const nowhere = reinterpret_cast<const std::byte*>(uintptr_t{1} << 46);
  std::vector<int64_t> cells(8);
  for (int64_t loop = 0; loop < 5000; ++loop) {
    std::vector<FirstRead> next(static_cast<size_t>(loop % 5));
    for (size_t i = 0; i < next.size(); ++i)
      next[i] = (loop + static_cast<int64_t>(i)) % 3 == 0 ? FirstRead(nowhere, 64 << 10)
                                                          : FirstRead(small.data(), small.size());
    pool->ParallelFor(
        8, [&](int64_t chunk, int) { cells[static_cast<size_t>(chunk)] = loop + chunk; }, next);
    next.assign(3, FirstRead(nowhere, 1));
    for (int64_t chunk = 0; chunk < 8; ++chunk)
      ASSERT_EQ(cells[static_cast<size_t>(chunk)], loop + chunk) << "loop " << loop;
  }
}

TEST(ThreadPoolTest, FetchesAllThatComesNextIfItHasTime) {
  const std::unique_ptr<ThreadPool> pool = MakePool(2);
  const std::vector<std::byte> memory((64 << 10) + 100);  // 100: less than is fetched at once
  // Each thread has a chunk; the worker's is the longer one.
  const auto wait_for_worker = [&](FirstReads next) {
    std::atomic<int> n_inside = 0;
    pool->ParallelFor(
        2,
        [&](int64_t, int thread) {
          n_inside.fetch_add(1);
          while (n_inside.load() < 2) std::this_thread::yield();
          if (thread == 1) std::this_thread::sleep_for(std::chrono::milliseconds(2));
        },
        next);
  };
  wait_for_worker(std::vector<FirstRead>{memory});
  // Where others take the processor from it, it needs several waits.
  for (int i = 0; i < 100 && pool->unfetched().size() > 100; ++i) wait_for_worker({});
  const FirstRead rest = pool->unfetched();
  EXPECT_EQ(rest.size(), 100u);
  EXPECT_EQ(rest.data(), memory.data() + (64 << 10));
  wait_for_worker({});
  EXPECT_EQ(pool->unfetched().data(), rest.data()) << "nothing new: it keeps what it had";
}

TEST(ThreadPoolTest, UsesNoProcessorTimeWhenIdle) {
  const std::unique_ptr<ThreadPool> pool = MakePool(4);
  pool->ParallelFor(100, [](int64_t, int) {});
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  const auto processor_ns = [] {
    timespec time = {};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
  };
  const int64_t before = processor_ns();
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  EXPECT_LT(processor_ns() - before, 20'000'000) << "four threads slept for 200 ms";
}

TEST(ThreadPoolTest, LeavesSignalsToOtherThreads) {
  sigset_t before;
  pthread_sigmask(SIG_SETMASK, nullptr, &before);
  const std::unique_ptr<ThreadPool> pool = MakePool(2);
  std::atomic<int> n_inside = 0;
  std::atomic<int> n_blocking = 0;
  pool->ParallelFor(2, [&](int64_t, int thread) {
    n_inside.fetch_add(1);
    while (n_inside.load() < 2) std::this_thread::yield();
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, nullptr, &mask);
    if (thread == 1 && sigismember(&mask, SIGTERM) == 1) n_blocking.fetch_add(1);
    if (thread == 0) {
      EXPECT_EQ(sigismember(&mask, SIGTERM), sigismember(&before, SIGTERM));
    }
  });
  EXPECT_EQ(n_blocking.load(), 1);
}

TEST(ThreadPoolTest, StartsAndStopsManyTimes) {
  for (int i = 0; i < 200; ++i) {
    const std::unique_ptr<ThreadPool> pool = MakePool(1 + i % 5);
    std::atomic<int64_t> sum = 0;
    if (i % 3 == 0) continue;  // also stop workers that never saw a loop
    pool->ParallelFor(i, [&](int64_t chunk, int) { sum.fetch_add(chunk); });
    EXPECT_EQ(sum.load(), int64_t{i} * (i - 1) / 2);
  }
}

}  // namespace
}  // namespace forge
