#pragma once

#include <future>
#include <memory>

#include "engine/model/model.h"
#include "engine/runtime/engine.h"
#include "engine/runtime/executor.h"
#include "engine/runtime/forward.h"
#include "engine/runtime/scheduler.h"

namespace forge {

// Of EngineOptions, what holds for each model.
struct ServingOptions {
  uint32_t max_queued_turns = 256;
  bool shares_prefixes = true;
};

// A model in memory with everything that runs it. Calls in flight share it; whoever unloads it
// waits until the last of them let it go.
class LoadedModel {
 public:
  // Takes over a loaded model, whose steps `executor` will run. The caller adds scheduler() to it.
  // Lifetime: the executor must outlive it.
  static Result<std::shared_ptr<LoadedModel>> Create(ModelId id, ModelFileInfo info,
                                                     std::unique_ptr<Model> model,
                                                     const ServingOptions& options,
                                                     Executor& executor);

  ModelId id() const { return id_; }
  const ModelFileInfo& info() const { return info_; }
  const Model& model() const { return *model_; }
  Scheduler& scheduler() const { return *scheduler_; }
  Executor& executor() const { return executor_; }
  ModelStatus Snapshot() const;

  // Ready once the last owner let go and all memory is free. REQUIRES: called once.
  std::future<void> Freed() { return freed_.promise.get_future(); }

 private:
  struct FreedSignal {
    std::promise<void> promise;
    ~FreedSignal() { promise.set_value(); }
  };

  LoadedModel(ModelId id, ModelFileInfo info, std::unique_ptr<Model> model,
              std::unique_ptr<Forward> forward, const ServingOptions& options, Executor& executor);

  FreedSignal freed_;  // first, so that it is destroyed after everything that holds memory
  const ModelId id_;
  const ModelFileInfo info_;
  Executor& executor_;
  std::unique_ptr<Model> model_;
  std::unique_ptr<Forward> forward_;
  std::unique_ptr<Scheduler> scheduler_;
};

}  // namespace forge
