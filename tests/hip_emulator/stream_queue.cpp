#include "tests/hip_emulator/stream_queue.h"

#include <utility>

ihipStream_t::ihipStream_t(forge::emulator::Gpu& gpu) : gpu_(gpu), thread_([this] { Run(); }) {}

ihipStream_t::~ihipStream_t() {
  {
    const Lock lock = forge::emulator::Machine::Get().Acquire();
    stopped_ = true;
    queue_.clear();
    wake_.notify_all();
  }
  thread_.join();
}

void ihipStream_t::Enqueue(const Lock&, std::function<void()> work) {
  queue_.push_back(std::move(work));
  wake_.notify_one();
}

void ihipStream_t::Run() {
  forge::emulator::Machine& machine = forge::emulator::Machine::Get();
  Lock lock = machine.Acquire();
  while (!stopped_) {
    if (queue_.empty()) {
      wake_.wait(lock);
      continue;
    }
    const std::function<void()> work = std::move(queue_.front());
    queue_.pop_front();
    if (gpu_.error == hipSuccess) {  // else: dropped, as a lost device does
      running_ = true;
      lock.unlock();
      work();
      lock.lock();
      running_ = false;
    }
    if (queue_.empty()) machine.changed().notify_all();
  }
}
