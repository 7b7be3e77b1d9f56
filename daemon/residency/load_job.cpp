#include "daemon/residency/load_job.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "kernels/base/exceptions.h"

namespace forge {

Status LoadCrashedStatus(const std::string& name) {
  return FailedPrecondition(fmt::format("the daemon died while it loaded model '{}'; load it by "
                                        "hand to try again, or replace its file",
                                        name))
      .WithReason("LOAD_CRASHED")
      .WithDetail("model", name);
}

Status ModelBusyStatus(const std::string& name, std::string_view doing) {
  return Unavailable(fmt::format("model '{}' is being {}; try again shortly", name, doing))
      .WithReason("MODEL_BUSY")
      .WithDetail("model", name);
}

Status EncoderStatus(const std::string& name) {
  return FailedPrecondition(
             fmt::format(
                 "model '{}' is an encoder: it embeds texts (Embed), and neither writes nor "
                 "scores any; it was not loaded",
                 name))
      .WithReason("MODEL_IS_ENCODER")
      .WithDetail("model", name);
}

Status ShuttingDownStatus() {
  return Unavailable("the daemon is shutting down").WithReason("SHUTTING_DOWN");
}

LoadJob::LoadJob(ModelFile model_file, std::chrono::milliseconds time_limit)
    : file(std::move(model_file)),
      name(file.name),
      start(std::chrono::steady_clock::now()),
      deadline_(start + time_limit) {}

void LoadJob::Stop(StopCause cause) {
  StopCause none = StopCause::kNone;
  stop_cause_.compare_exchange_strong(none, cause);
}

bool LoadJob::stopped() {
  if (std::chrono::steady_clock::now() > deadline_) Stop(StopCause::kDeadline);
  return stop_cause_.load() != StopCause::kNone;
}

Status LoadJob::StopStatus() const {
  if (stop_cause_.load() == StopCause::kShutdown) return ShuttingDownStatus();
  if (stop_cause_.load() == StopCause::kCancelled) {
    return Cancelled(fmt::format("the load of model '{}' was cancelled", name))
        .WithReason("LOAD_CANCELLED")
        .WithDetail("model", name);
  }
  const auto limit = std::chrono::duration_cast<std::chrono::milliseconds>(deadline_ - start);
  return Status(StatusCode::kDeadlineExceeded,
                fmt::format("the load of model '{}' took longer than limits.load_deadline, {} ms",
                            name, limit.count()))
      .WithReason("LOAD_TOO_SLOW")
      .WithDetail("model", name)
      .WithDetail("limitMs", static_cast<uint64_t>(limit.count()));
}

Result<ModelSnapshot> LoadJob::Run(Engine& engine, const ModelFileInfo& plan,
                                   OnProgress on_progress) {
  if (stopped()) return StopStatus();
  const auto load_start = std::chrono::steady_clock::now();
  const Result<ModelId> id = engine.Load(file.path, plan.device, OptionsInEffect(plan).options,
                                         MakeObserver(plan, std::move(on_progress)));
  // The engine reports a stop as kCancelled, whatever the cause.
  if (id.status().code() == StatusCode::kCancelled && stopped()) return StopStatus();
  FORGE_TRY(id.status());
  Result<ModelSnapshot> snapshot = Caught([&] { return Describe(engine, *id, load_start); });
  // Nobody would know of it.
  if (!snapshot.ok()) UntilMemory([&] { static_cast<void>(engine.Unload(*id)); });
  return snapshot;
}

Result<ModelSnapshot> LoadJob::Describe(const Engine& engine, ModelId id,
                                        std::chrono::steady_clock::time_point load_start) const {
  ModelSnapshot snapshot;
  snapshot.file = file;
  snapshot.state = ModelState::kReady;
  snapshot.id = id;
  snapshot.load_time = std::chrono::system_clock::now();
  snapshot.load_duration = std::chrono::steady_clock::now() - load_start;
  FORGE_ASSIGN_OR_RETURN(const ModelStatus status, engine.GetModel(id));
  snapshot.info = status.info;
  return snapshot;
}

LoadObserver LoadJob::MakeObserver(const ModelFileInfo& plan, OnProgress on_progress) {
  struct Rate {
    std::optional<std::chrono::steady_clock::time_point> start;
    uint64_t first_bytes = 0;
  };
  return [this, plan, on_progress = std::move(on_progress),
          rate = Rate()](const LoadProgressInfo& info) mutable {
    LoadProgress progress;
    // The engine reads the header once more, of a model that was admitted by then.
    progress.phase = std::max(info.phase, LoadPhase::kAdmission);
    progress.bytes_done = info.bytes_done;
    progress.bytes_total = info.bytes_total;
    progress.plan = plan;
    if (info.phase == LoadPhase::kLoadingWeights) {
      const auto now = std::chrono::steady_clock::now();
      if (!rate.start) rate = {now, info.bytes_done};
      const double seconds = std::chrono::duration<double>(now - *rate.start).count();
      if (seconds > 0.0) {
        progress.bytes_per_second =
            static_cast<double>(info.bytes_done - rate.first_bytes) / seconds;
      }
    }
    on_progress(std::move(progress));
    return !stopped();
  };
}

}  // namespace forge
