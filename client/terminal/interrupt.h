#pragma once

#include <atomic>
#include <functional>
#include <thread>

namespace forge::client {

// Catches Ctrl-C for a scope: calls `on_interrupt` for each SIGINT, with how many there were, on a
// thread of its own. Create it before any other thread starts, so that all of them inherit the
// blocked signal; at most one at a time.
class InterruptScope {
 public:
  explicit InterruptScope(std::function<void(int count)> on_interrupt);
  ~InterruptScope();
  InterruptScope(const InterruptScope&) = delete;
  InterruptScope& operator=(const InterruptScope&) = delete;

  bool interrupted() const { return count_ > 0; }

 private:
  void Wait();

  std::function<void(int)> on_interrupt_;
  std::atomic<int> count_ = 0;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

// Blocks SIGINT in the calling thread and all that it starts, for InterruptScope to wait for.
void BlockInterrupts();

}  // namespace forge::client
