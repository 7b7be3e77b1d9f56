#include <fmt/format.h>

#include <utility>

#include "daemon/residency/on_strand.h"
#include "daemon/residency/residency.h"
#include "daemon/text/utf8.h"

// How a load goes from its first caller to its last listener. All of it is on the strand, but for
// what is posted to the loading threads.
namespace forge {
namespace {

// Another number when the file was written to or replaced.
uint64_t VersionOf(const ModelFile& file) {
  return file.size_bytes ^
         (static_cast<uint64_t>(file.modify_time.time_since_epoch().count()) << 20);
}

ModelState StateAfterLoad(const Status& status) {
  if (status.ok()) return ModelState::kReady;
  // A stop says nothing about the file, nor do options that it cannot be loaded with.
  const bool is_others_fault =
      status.code() == StatusCode::kCancelled || status.reason() == "SHUTTING_DOWN" ||
      status.reason() == "INVALID_REQUEST" || status.reason() == "CONTEXT_LENGTH_EXCEEDED" ||
      status.reason() == "MODEL_IS_ENCODER";
  return is_others_fault ? ModelState::kOnDisk : ModelState::kFailed;
}

}  // namespace

void Residency::StartOrJoin(const ModelFile& file, const LoadRequest& request,
                            const std::shared_ptr<LoadListener>& listener) {
  if (shutting_down_) return listener->OnLoaded(ShuttingDownStatus());
  // A client that asks again and again must not end the daemon again and again.
  if (request.is_on_demand && options_.state != nullptr && options_.state->WasDeadly(file)) {
    const Status deadly = LoadCrashedStatus(file.name);
    TellRefused(file.name, deadly);
    return listener->OnLoaded(deadly);
  }
  const auto found = entries_.find(file.name);
  if (found == entries_.end()) return StartLoad(file, request, listener);
  if (found->second.lifecycle.state() == ModelState::kFailed) {
    const Status cooling =
        request.is_on_demand ? CheckHeaderCooldown(found->second, file) : Status();
    if (cooling.ok()) return StartLoad(file, request, listener);
    TellRefused(file.name, cooling);
    return listener->OnLoaded(cooling);
  }
  Join(found->second, request, listener);
}

void Residency::TellRefused(const std::string& name, const Status& status) {
  Tell([&] {
    Publish({.kind = ResidencyEvent::Kind::kRefused,
             .model = name,
             .reason = std::string(status.message()),
             .error = std::string(status.reason())});
  });
}

Status Residency::CheckHeaderCooldown(const Entry& entry, const ModelFile& file) const {
  if (entry.header_version != VersionOf(file)) return Status();
  return entry.header_cooldown.Check(file.name, Now());
}

void Residency::CoolDownHeader(Entry& entry, const Status& status) {
  // Other options than the configured ones may be what was refused, and not the file.
  if (!entry.request.empty()) return;
  const uint64_t version = VersionOf(entry.snapshot.file);
  if (entry.header_version != version) entry.header_cooldown = {};
  entry.header_version = version;
  entry.header_cooldown.Start(status, options_.settings.first_cooldown,
                              options_.settings.longest_cooldown, Now());
}

void Residency::Join(Entry& entry, const LoadRequest& request,
                     const std::shared_ptr<LoadListener>& listener) {
  const std::string& name = entry.snapshot.file.name;
  if (entry.lifecycle.state() == ModelState::kUnloading) {
    return listener->OnLoaded(ModelBusyStatus(name, "unloaded"));
  }
  if (entry.lifecycle.state() == ModelState::kReady) {
    const Status same =
        request.is_on_demand
            ? Status()
            : CheckSameOptions(name, "ready", request, OptionsInEffect(entry.snapshot.info));
    if (!same.ok()) return listener->OnLoaded(same);
    const Status kept = Keep(entry, request, /*is_use=*/true);
    return listener->OnLoaded(kept.ok() ? Result<ModelSnapshot>(SnapshotOf(entry)) : kept);
  }
  if (!request.must_fit_now) entry.request.must_fit_now = false;
  if (!request.needs_logits) entry.request.needs_logits = false;
  Tell([&] { listener->OnProgress(entry.progress); });
  // From where the listener is among those of the load, that tells it of the end, so that nothing
  // may throw. What is left undone here is done when the load ends, or was a wish.
  if (request.empty() || request.is_on_demand) {
    entry.listeners.push_back(listener);
    Tell([&] { static_cast<void>(Keep(entry, request)); });  // a load that fails says so itself
  } else {
    entry.undecided.emplace_back(request, listener);
    if (entry.progress.plan) Tell([&] { DecideJoins(entry, "loading", *entry.progress.plan); });
  }
}

void Residency::DecideJoins(Entry& entry, std::string_view state, const ModelFileInfo& info) {
  while (!entry.undecided.empty()) {
    const LoadRequest& request = entry.undecided.front().first;
    const std::shared_ptr<LoadListener>& listener = entry.undecided.front().second;
    const Status same =
        CheckSameOptions(entry.snapshot.file.name, state, request, OptionsInEffect(info));
    if (same.ok()) {
      entry.listeners.push_back(listener);
      Tell([&] { static_cast<void>(Keep(entry, request)); });  // as above
    } else {
      listener->OnLoaded(same);
    }
    entry.undecided.erase(entry.undecided.begin());
  }
}

void Residency::StartLoad(const ModelFile& file, const LoadRequest& request,
                          const std::shared_ptr<LoadListener>& listener) {
  const auto failed = entries_.find(file.name);
  std::map<std::string, Entry> made;  // which takes the place of the failed one without a throw
  Entry& entry = made[file.name];
  if (failed != entries_.end()) entry = failed->second;
  entry.snapshot.file = file;
  entry.snapshot.error.clear();
  entry.progress = LoadProgress();
  entry.listeners = {listener};
  entry.undecided.clear();
  entry.request = request;
  entry.ticket = 0;
  entry.is_running = entry.is_refused = false;
  entry.job = std::make_shared<LoadJob>(file, options_.load_deadline);
  SetState(entry, ModelState::kLoading);
  RunOn(
      loaders_, [this, job = entry.job, request] { return InspectDevices(job->file, request); },
      [this, job = entry.job](const Result<std::vector<ModelFileInfo>>& plans) {
        TakePlans(job, plans);
      });
  ++n_jobs_;
  if (failed != entries_.end()) entries_.erase(failed);
  entries_.merge(made);
  Tell([&] {
    log_.info("loading model '{}' from {}", file.name, file.path);
    listener->OnProgress(entry.progress);
  });
}

void Residency::TakePlans(const std::shared_ptr<LoadJob>& job,
                          const Result<std::vector<ModelFileInfo>>& plans) {
  const auto found = entries_.find(job->name);
  if (found == entries_.end() || found->second.job != job) return;  // stopped meanwhile
  Contain([&] { RequestMemory(job, plans); },
          [&](const Status& status) { FinishLoad(job->name, status); });
}

void Residency::RequestMemory(const std::shared_ptr<LoadJob>& job,
                              const Result<std::vector<ModelFileInfo>>& plans) {
  Entry& entry = entries_.at(job->name);
  if (job->stopped()) return FinishLoad(job->name, job->StopStatus());
  if (!plans.ok()) {
    CoolDownHeader(entry, plans.status());
    return FinishLoad(job->name, plans.status());
  }
  entry.header_cooldown = {};
  const int priority = entry.request.priority.value_or(0);
  const ModelFileInfo plan = (*plans)[ChooseDevice(job->name, *plans, priority)];
  LoadProgress progress;
  progress.phase = LoadPhase::kAdmission;
  progress.plan = plan;
  entry.snapshot.info = plan;
  Tell([&] { PublishProgress(*job, progress); });
  const bool is_useless = entry.request.needs_logits && plan.is_encoder;
  const Status wanted = is_useless                   ? EncoderStatus(job->name)
                        : entry.request.must_fit_now ? CheckFitsNow(entry)
                                                     : Status();
  if (!wanted.ok()) {
    entry.is_refused = true;
    return FinishLoad(job->name, wanted);
  }
  const ModelDemand demand = {.name = job->name,
                              .plan_bytes = plan.total_bytes(),
                              .file_version = VersionOf(job->file),
                              .priority = priority,
                              .pinned = entry.request.pinned.value_or(false),
                              .keep_alive = entry.request.keep_alive,
                              .ignores_cooldown = !entry.request.is_on_demand};
  const TicketId ticket = ++last_ticket_;
  Books(plan.device).controller.Request(ticket, demand, /*wants_lease=*/false, Now());
  entry.ticket = ticket;  // nothing may throw from the request on
  Decide(plan.device);
}

Status Residency::CheckFitsNow(const Entry& entry) {
  const ModelFileInfo& plan = entry.snapshot.info;
  const WantedModel wanted = {entry.snapshot.file.name, plan.total_bytes(),
                              entry.request.priority.value_or(0)};
  const ResidencyController& controller = Books(plan.device).controller;
  const DecisionRecord record = controller.Preview(ReadDevice(plan.device), wanted, Now());
  // Behind others it would have to wait, and by then it may not fit any more.
  if (record.decision.kind == ResidencyDecision::Kind::kAdmit && !controller.is_paused() &&
      controller.n_waiting() == 0)
    return Status();
  return ResourceExhausted(ExplainDecision(record.decision, wanted) + "; nothing is evicted for it")
      .WithReason("GPU_BUDGET_EXCEEDED")
      .WithDetail("model", wanted.name)
      .WithDetail("device", plan.device)
      .WithDetail("requestedBytes", wanted.plan_bytes)
      .WithDetail("availableBytes", record.decision.admission.available_bytes);
}

void Residency::RunLoad(Entry& entry) {
  RunOn(
      loaders_,
      [this, job = entry.job, plan = entry.snapshot.info] {
        MarkLoad(job->file);
        Result<ModelSnapshot> result = Caught([&] {
          return job->Run(engine_, plan, [this, job](const LoadProgress& progress) {
            PostProgress(job, progress);
          });
        });
        // Also where it threw: it did not end the process.
        if (options_.state != nullptr) UntilMemory([&] { options_.state->ClearMark(job->name); });
        return result;
      },
      [this, job = entry.job](const Result<ModelSnapshot>& result) { EndLoad(job, result); });
  entry.is_running = true;
  if (!entry.progress.queue_position) return;
  Tell([&] {
    LoadProgress progress = entry.progress;
    progress.queue_position.reset();
    progress.wait_reason.clear();
    PublishProgress(*entry.job, progress);
  });
}

void Residency::PostProgress(const std::shared_ptr<LoadJob>& job, const LoadProgress& progress) {
  const auto tell = [this, job, progress] { Tell([&] { PublishProgress(*job, progress); }); };
  Tell([&] { PostHandler(strand_, tell); });
}

void Residency::MarkLoad(const ModelFile& file) {
  if (options_.state == nullptr) return;
  const auto warn = [&](const Status& status) {
    log_.warn("the load of model '{}' is not marked, so that a crash in it would not be known: {}",
              file.name, status.message());
  };
  Contain(
      [&] {
        const Status marked = options_.state->MarkLoad(file);
        if (!marked.ok()) warn(marked);
      },
      warn);
}

void Residency::PublishProgress(const LoadJob& job, const LoadProgress& progress) {
  const auto found = entries_.find(job.name);
  if (found == entries_.end() || found->second.job.get() != &job) return;
  found->second.progress = progress;
  if (progress.plan) DecideJoins(found->second, "loading", *progress.plan);
  for (const auto& listener : found->second.listeners)
    Tell([&] { listener->OnProgress(progress); });
}

void Residency::EndLoad(const std::shared_ptr<LoadJob>& job, const Result<ModelSnapshot>& result) {
  Entry& entry = entries_.at(job->name);
  const std::string device = entry.snapshot.info.device;
  if (result.ok()) entry.snapshot = *result;
  // The controller answers with a grant or a refusal of the load's ticket, which finishes it. Where
  // it throws, this is called again.
  Books(device).controller.LoadEnded(job->name, result.status(), Now());
  Decide(device);
}

void Residency::StopIfWaiting(Entry& entry) {
  if (!entry.job || entry.is_running || !entry.job->stopped()) return;
  std::string device;
  const TicketId ticket = entry.ticket;
  UntilMemory([&] {
    const std::string name = entry.snapshot.file.name;
    device = entry.snapshot.info.device;
    FinishLoad(name, entry.job->StopStatus());
  });
  if (ticket == 0) return;  // its header is being read; TakePlans finds it gone
  Books(device).controller.Withdraw(ticket, Now());
  if (!shutting_down_) Decide(device);
}

void Residency::StopWaiting() {
  std::vector<std::string> loading;
  UntilMemory([&] {
    loading.clear();
    for (const auto& [name, entry] : entries_)
      if (entry.job) loading.push_back(name);
  });
  for (const std::string& name : loading) StopIfWaiting(entries_.at(name));
}

void Residency::FinishLoad(const std::string& name, const Status& status) {
  Entry& entry = entries_.at(name);
  // What may throw comes first.
  if (status.ok()) DecideJoins(entry, "ready", entry.snapshot.info);
  std::vector<std::shared_ptr<LoadListener>> listeners = entry.listeners;
  for (const auto& [request, listener] : entry.undecided) listeners.push_back(listener);
  const ModelState state = StateAfterLoad(status);
  std::string error;
  if (state == ModelState::kFailed)
    error = TruncateUtf8(status.message(), ResidencyEvent::kMaxTextBytes);
  ModelSnapshot model = entry.snapshot;
  model.state = state;
  const Result<ModelSnapshot> answer =
      status.ok() ? WithKeeping(std::move(model)) : Result<ModelSnapshot>(status);

  --n_jobs_;
  entry.listeners.clear();
  entry.undecided.clear();
  entry.job.reset();
  entry.ticket = 0;
  entry.snapshot.error = std::move(error);
  SetState(entry, state);
  if (!entry.is_refused) Tell([&] { PublishLoadEnd(entry, status); });
  if (state == ModelState::kOnDisk) entries_.erase(name);
  for (const auto& listener : listeners) UntilMemory([&] { listener->OnLoaded(answer); });
  Tell([this] { PublishChange(); });
}

}  // namespace forge
