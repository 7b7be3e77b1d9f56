#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <thread>

#include "tests/hip_emulator/machine.h"

// A stream: work that runs in order, on a thread of its own, so that whoever gives the work never
// sees it done early. Guarded by the machine's mutex.
struct ihipStream_t {
 public:
  using Lock = forge::emulator::Machine::Lock;

  explicit ihipStream_t(forge::emulator::Gpu& gpu);
  // Drops what is queued, and waits for what runs.
  ~ihipStream_t();

  forge::emulator::Gpu& gpu() const { return gpu_; }
  void Enqueue(const Lock& lock, std::function<void()> work);
  bool idle(const Lock&) const { return queue_.empty() && !running_; }

 private:
  void Run();

  forge::emulator::Gpu& gpu_;
  std::deque<std::function<void()>> queue_;
  std::condition_variable wake_;
  bool running_ = false;
  bool stopped_ = false;
  std::thread thread_;  // last
};

// An event: a place in a stream. Guarded by the machine's mutex.
struct ihipEvent_t {
  uint64_t recorded = 0;  // how often it was recorded
  uint64_t reached = 0;   // how many of these the stream has passed
  std::chrono::steady_clock::time_point time;
};
