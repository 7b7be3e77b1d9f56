#include "tests/hip_emulator/grid_runner.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

namespace forge::emulator {
namespace {

// Below this a second thread costs more than it saves.
constexpr uint64_t kMinThreadsToShare = 4096;

// A launch whose blocks are handed out one by one.
class Grid {
 public:
  explicit Grid(const Kernel& kernel)
      : kernel_(kernel), n_blocks_(uint64_t{kernel.grid.x} * kernel.grid.y * kernel.grid.z) {}

  void Work() {
    thread_local BlockRunner runner;
    for (uint64_t i = next_++; i < n_blocks_; i = next_++) {
      const uint64_t row = i / kernel_.grid.x;
      std::optional<Fault> fault =
          runner.Run(kernel_, {static_cast<unsigned>(i % kernel_.grid.x),
                               static_cast<unsigned>(row % kernel_.grid.y),
                               static_cast<unsigned>(row / kernel_.grid.y)});
      if (!fault) continue;
      next_ = n_blocks_;
      const std::lock_guard lock(mutex_);
      if (!fault_) fault_ = std::move(fault);
    }
  }
  std::optional<Fault> fault() {
    const std::lock_guard lock(mutex_);
    return fault_;
  }

 private:
  const Kernel& kernel_;
  const uint64_t n_blocks_;
  std::atomic<uint64_t> next_ = 0;
  std::mutex mutex_;
  std::optional<Fault> fault_;
};

// The second thread; helps with one grid at a time.
class Helper {
 public:
  static Helper& Get() {
    static Helper helper;
    return helper;
  }

  // False if it is busy with another grid.
  bool Offer(Grid& grid) {
    const std::lock_guard lock(mutex_);
    if (grid_ != nullptr) return false;
    grid_ = &grid;
    changed_.notify_all();
    return true;
  }
  // Waits until the helper no longer uses the grid.
  void TakeBack(Grid& grid) {
    std::unique_lock lock(mutex_);
    if (grid_ == &grid && !working_) grid_ = nullptr;  // it never began
    while (grid_ == &grid) changed_.wait(lock);
  }

 private:
  Helper() : thread_([this] { Run(); }) {}
  ~Helper() {
    {
      const std::lock_guard lock(mutex_);
      stopped_ = true;
      changed_.notify_all();
    }
    thread_.join();
  }

  void Run() {
    std::unique_lock lock(mutex_);
    while (!stopped_) {
      if (grid_ == nullptr) {
        changed_.wait(lock);
        continue;
      }
      Grid& grid = *grid_;
      working_ = true;
      lock.unlock();
      grid.Work();
      lock.lock();
      working_ = false;
      grid_ = nullptr;
      changed_.notify_all();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  Grid* grid_ = nullptr;
  bool working_ = false;
  bool stopped_ = false;
  std::thread thread_;  // last
};

}  // namespace

void PrepareGridRunner() { Helper::Get(); }

std::optional<Fault> RunGrid(const Kernel& kernel) {
  Grid grid(kernel);
  const uint64_t n_threads = uint64_t{kernel.grid.x} * kernel.grid.y * kernel.grid.z *
                             kernel.block.x * kernel.block.y * kernel.block.z;
  const bool shared = n_threads >= kMinThreadsToShare && kernel.grid.x * kernel.grid.y > 1 &&
                      Helper::Get().Offer(grid);
  grid.Work();
  if (shared) Helper::Get().TakeBack(grid);
  return grid.fault();
}

}  // namespace forge::emulator
