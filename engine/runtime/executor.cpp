#include "engine/runtime/executor.h"

#include <algorithm>

namespace forge {

Executor::Executor() : progress_(Clock::now()), thread_([this] { Run(); }) {}

Executor::~Executor() {
  {
    MutexLock lock(mutex_);
    stop_ = true;
    const Status shutting_down =
        Unavailable("the server is shutting down").WithReason("SHUTTING_DOWN");
    for (Entry& entry : entries_) {
      if (!entry.end) entry.end = shutting_down;
      entry.scheduler->GiveUpStep();
    }
  }
  work_.NotifyAll();
  thread_.join();
}

void Executor::Add(Scheduler& scheduler) {
  MutexLock lock(mutex_);
  entries_.push_back({&scheduler, std::nullopt});
}

void Executor::Remove(Scheduler& scheduler, const Status& status) {
  MutexLock lock(mutex_);
  for (Entry& entry : entries_)
    if (entry.scheduler == &scheduler) entry.end = status;
  scheduler.GiveUpStep();
  work_.NotifyAll();
  while (Contains(scheduler)) removed_.Wait(mutex_);
}

void Executor::Wake() {
  {
    MutexLock lock(mutex_);
    if (idle_) progress_ = Clock::now();
    idle_ = false;
  }
  work_.NotifyAll();
}

void Executor::NoteProgress() {
  MutexLock lock(mutex_);
  progress_ = Clock::now();
}

EngineProgress Executor::Progress() const {
  MutexLock lock(mutex_);
  EngineProgress progress;
  progress.steps = n_steps_;
  progress.busy = !idle_;
  if (!idle_) progress.since_progress = Clock::now() - progress_;
  return progress;
}

bool Executor::Contains(const Scheduler& scheduler) const {
  return std::any_of(entries_.begin(), entries_.end(),
                     [&](const Entry& entry) { return entry.scheduler == &scheduler; });
}

void Executor::Run() {
  MutexLock lock(mutex_);
  while (true) {
    EndRemoved();
    if (stop_ && entries_.empty()) return;
    Scheduler* scheduler = NextWithWork();
    if (scheduler == nullptr) {
      idle_ = true;
      work_.Wait(mutex_);
      continue;
    }
    idle_ = false;
    mutex_.unlock();
    scheduler->Step();
    mutex_.lock();
    ++n_steps_;
    progress_ = Clock::now();
  }
}

void Executor::EndRemoved() {
  while (true) {
    const auto removed = std::find_if(entries_.begin(), entries_.end(),
                                      [](const Entry& entry) { return entry.end.has_value(); });
    if (removed == entries_.end()) return;
    Scheduler* scheduler = removed->scheduler;
    const Status status = *removed->end;
    mutex_.unlock();
    scheduler->EndAll(status);
    mutex_.lock();
    // Others may have been added meanwhile, so the place is looked up again.
    std::erase_if(entries_,
                  [scheduler](const Entry& entry) { return entry.scheduler == scheduler; });
    removed_.NotifyAll();
  }
}

Scheduler* Executor::NextWithWork() {
  for (size_t i = 0; i < entries_.size(); ++i) {
    const size_t index = (next_entry_ + i) % entries_.size();
    if (entries_[index].end || !entries_[index].scheduler->HasWork()) continue;
    next_entry_ = index + 1;
    return entries_[index].scheduler;
  }
  return nullptr;
}

}  // namespace forge
