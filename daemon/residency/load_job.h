#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "daemon/residency/catalogue.h"
#include "daemon/residency/load_request.h"
#include "daemon/residency/model_state.h"
#include "engine/runtime/engine.h"

namespace forge {

// How far a load is.
struct LoadProgress {
  LoadPhase phase = LoadPhase::kReadingHeader;
  uint64_t bytes_done = 0;
  uint64_t bytes_total = 0;
  double bytes_per_second = 0.0;      // since the first weights; 0 before them
  std::optional<ModelFileInfo> plan;  // once the header is read
  // While it waits for memory: how many models are to be loaded before it, and for what.
  std::optional<uint32_t> queue_position;
  std::string wait_reason;
};

// A model as residency knows it at one moment.
struct ModelSnapshot {
  ModelFile file;
  ModelState state = ModelState::kOnDisk;
  std::string error;  // of kFailed
  // While kReady or kUnloading:
  ModelId id = 0;
  ModelFileInfo info;
  std::chrono::system_clock::time_point load_time;
  std::chrono::nanoseconds load_duration{0};  // without the wait for memory
  // How it is kept; see ResidencyController. Of kReady:
  bool pinned = false;
  int priority = 0;
  std::optional<std::chrono::milliseconds> keep_alive;
  std::optional<std::chrono::system_clock::time_point> expire_time;
};

// One load: what a loading thread shares with the strand. The first cause to stop it counts.
//
// Thread-safe: all but `stop_cause` is constant once it was handed out.
class LoadJob {
 public:
  enum class StopCause { kNone, kCancelled, kDeadline, kShutdown };

  LoadJob(ModelFile model_file, std::chrono::milliseconds time_limit);

  const ModelFile file;
  const std::string name;
  // When it was asked for, which the time limit counts from.
  const std::chrono::steady_clock::time_point start;

  void Stop(StopCause cause);
  // True once the load is to end; notices the deadline.
  bool stopped();
  // Why it was stopped. REQUIRES: stopped().
  Status StopStatus() const;

  using OnProgress = std::function<void(LoadProgress)>;
  // Loads with the engine what was admitted with `plan`. Blocks. `on_progress` is called on this
  // thread, with phases from kAdmission on, none earlier than the one before. Where it fails or
  // throws, the engine does not have the model.
  Result<ModelSnapshot> Run(Engine& engine, const ModelFileInfo& plan, OnProgress on_progress);

 private:
  LoadObserver MakeObserver(const ModelFileInfo& plan, OnProgress on_progress);
  Result<ModelSnapshot> Describe(const Engine& engine, ModelId id,
                                 std::chrono::steady_clock::time_point load_start) const;

  const std::chrono::steady_clock::time_point deadline_;
  std::atomic<StopCause> stop_cause_{StopCause::kNone};
};

// kUnavailable (reason MODEL_BUSY): the model is being `doing`, "loaded" or "unloaded".
Status ModelBusyStatus(const std::string& name, std::string_view doing);
// kFailedPrecondition, reason LOAD_CRASHED: of a file that a load of the run before ended with.
Status LoadCrashedStatus(const std::string& name);
// kUnavailable (reason SHUTTING_DOWN).
Status ShuttingDownStatus();
// kFailedPrecondition (reason MODEL_IS_ENCODER): of a load for a call that needs logits.
Status EncoderStatus(const std::string& name);

}  // namespace forge
