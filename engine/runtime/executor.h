#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <thread>
#include <vector>

#include "engine/runtime/engine.h"
#include "engine/runtime/scheduler.h"
#include "kernels/base/mutex.h"

namespace forge {

// Runs the steps of all models of one device on one thread, one step of each model with work in
// turn, and sleeps while there is none. Thread-safe.
class Executor {
 public:
  Executor();
  // Ends the turns of all models with kUnavailable (reason SHUTTING_DOWN) once the running step is
  // over, and joins the thread.
  ~Executor();
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  // Lifetime: the scheduler must stay until Remove returned or the executor is gone.
  void Add(Scheduler& scheduler);
  // Ends the model's turns with `status` and forgets it. Blocks until the running step is over, of
  // which this model's is given up, and every sink was called. REQUIRES: it was added, and not
  // called by a sink.
  void Remove(Scheduler& scheduler, const Status& status);
  // There may be work: schedulers call this.
  void Wake();
  // The running step goes on: schedulers call this in a long one.
  void NoteProgress();

  EngineProgress Progress() const;

 private:
  using Clock = std::chrono::steady_clock;

  struct Entry {
    Scheduler* scheduler;
    std::optional<Status> end;  // set: to be removed
  };

  void Run();
  void EndRemoved() FORGE_REQUIRES(mutex_);
  // The next model with work, or nullptr.
  Scheduler* NextWithWork() FORGE_REQUIRES(mutex_);
  bool Contains(const Scheduler& scheduler) const FORGE_REQUIRES(mutex_);

  mutable Mutex mutex_;
  CondVar work_;     // entries or work came, or stop_
  CondVar removed_;  // an entry is gone
  std::vector<Entry> entries_ FORGE_GUARDED_BY(mutex_);
  size_t next_entry_ FORGE_GUARDED_BY(mutex_) = 0;
  bool stop_ FORGE_GUARDED_BY(mutex_) = false;
  bool idle_ FORGE_GUARDED_BY(mutex_) = true;
  uint64_t n_steps_ FORGE_GUARDED_BY(mutex_) = 0;
  Clock::time_point progress_ FORGE_GUARDED_BY(mutex_);  // the last one, or the end of idleness

  std::thread thread_;  // last: it uses all of the above
};

}  // namespace forge
