#include "client/terminal/interrupt.h"

#include <csignal>
#include <ctime>
#include <utility>

namespace forge::client {

namespace {

sigset_t InterruptSet() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  return set;
}

}  // namespace

void BlockInterrupts() {
  const sigset_t set = InterruptSet();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

InterruptScope::InterruptScope(std::function<void(int count)> on_interrupt)
    : on_interrupt_(std::move(on_interrupt)), thread_([this] { Wait(); }) {}

InterruptScope::~InterruptScope() {
  stop_ = true;
  pthread_kill(thread_.native_handle(), SIGINT);  // wakes sigwaitinfo
  thread_.join();
}

void InterruptScope::Wait() {
  const sigset_t set = InterruptSet();
  for (;;) {
    siginfo_t info;
    if (sigwaitinfo(&set, &info) != SIGINT) continue;
    if (stop_) return;
    on_interrupt_(++count_);
  }
}

}  // namespace forge::client
