#include <fmt/format.h>

#include <boost/asio/post.hpp>
#include <utility>

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

}  // namespace

void Residency::StartOrJoin(const ModelFile& file, const LoadRequest& request,
                            const std::shared_ptr<LoadListener>& listener) {
  if (shutting_down_) return listener->OnLoaded(ShuttingDownStatus());
  // A client that asks again and again must not end the daemon again and again.
  if (request.is_on_demand && options_.state != nullptr && options_.state->WasDeadly(file)) {
    const Status deadly = LoadCrashedStatus(file.name);
    Publish({.kind = ResidencyEvent::Kind::kRefused,
             .model = file.name,
             .reason = std::string(deadly.message()),
             .error = std::string(deadly.reason())});
    return listener->OnLoaded(deadly);
  }
  const auto found = entries_.find(file.name);
  if (found == entries_.end()) return StartLoad(file, request, listener);
  if (found->second.lifecycle.state() == ModelState::kFailed) {
    const Status cooling =
        request.is_on_demand ? CheckHeaderCooldown(found->second, file) : Status();
    if (cooling.ok()) return StartLoad(file, request, listener);
    Publish({.kind = ResidencyEvent::Kind::kRefused,
             .model = file.name,
             .reason = std::string(cooling.message()),
             .error = std::string(cooling.reason())});
    return listener->OnLoaded(cooling);
  }
  Join(found->second, request, listener);
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
  listener->OnProgress(entry.progress);
  if (request.empty() || request.is_on_demand) {
    entry.listeners.push_back(listener);
    static_cast<void>(Keep(entry, request));  // a load that ends without the model says so itself
    return;
  }
  entry.undecided.emplace_back(request, listener);
  if (entry.progress.plan) DecideJoins(entry, "loading", *entry.progress.plan);
}

void Residency::DecideJoins(Entry& entry, std::string_view state, const ModelFileInfo& info) {
  const auto undecided = std::move(entry.undecided);
  entry.undecided.clear();
  for (const auto& [request, listener] : undecided) {
    const Status same =
        CheckSameOptions(entry.snapshot.file.name, state, request, OptionsInEffect(info));
    if (same.ok()) {
      entry.listeners.push_back(listener);
      static_cast<void>(Keep(entry, request));  // as above
    } else {
      listener->OnLoaded(same);
    }
  }
}

void Residency::StartLoad(const ModelFile& file, const LoadRequest& request,
                          const std::shared_ptr<LoadListener>& listener) {
  Entry& entry = entries_[file.name];
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
  log_.info("loading model '{}' from {}", file.name, file.path);
  listener->OnProgress(entry.progress);
  ++n_jobs_;
  boost::asio::post(loaders_, [this, job = entry.job, request] {
    Result<std::vector<ModelFileInfo>> plans = InspectDevices(job->file, request);
    boost::asio::post(strand_,
                      [this, job, plans = std::move(plans)] { RequestMemory(job, plans); });
  });
}

void Residency::RequestMemory(const std::shared_ptr<LoadJob>& job,
                              const Result<std::vector<ModelFileInfo>>& plans) {
  const auto found = entries_.find(job->name);
  if (found == entries_.end() || found->second.job != job) return;  // stopped meanwhile
  Entry& entry = found->second;
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
  PublishProgress(*job, progress);
  const bool is_useless = entry.request.needs_logits && plan.is_encoder;
  const Status wanted = is_useless                   ? EncoderStatus(job->name)
                        : entry.request.must_fit_now ? CheckFitsNow(entry)
                                                     : Status();
  if (!wanted.ok()) {
    entry.is_refused = true;
    return FinishLoad(job->name, wanted);
  }
  entry.ticket = ++last_ticket_;
  const ModelDemand demand = {.name = job->name,
                              .plan_bytes = plan.total_bytes(),
                              .file_version = VersionOf(job->file),
                              .priority = priority,
                              .pinned = entry.request.pinned.value_or(false),
                              .keep_alive = entry.request.keep_alive,
                              .ignores_cooldown = !entry.request.is_on_demand};
  Books(plan.device).controller.Request(entry.ticket, demand, /*wants_lease=*/false, Now());
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
  entry.is_running = true;
  if (entry.progress.queue_position) {
    LoadProgress progress = entry.progress;
    progress.queue_position.reset();
    progress.wait_reason.clear();
    PublishProgress(*entry.job, progress);
  }
  boost::asio::post(loaders_, [this, job = entry.job, plan = entry.snapshot.info] {
    const auto publish = [this, job](LoadProgress progress) {
      boost::asio::post(strand_, [this, job, progress = std::move(progress)] {
        PublishProgress(*job, progress);
      });
    };
    MarkLoad(job->file);
    Result<ModelSnapshot> result = job->Run(engine_, plan, publish);
    if (options_.state != nullptr) options_.state->ClearMark(job->name);
    boost::asio::post(strand_, [this, job, result = std::move(result)] { EndLoad(job, result); });
  });
}

void Residency::MarkLoad(const ModelFile& file) {
  if (options_.state == nullptr) return;
  const Status marked = options_.state->MarkLoad(file);
  if (!marked.ok())
    log_.warn("the load of model '{}' is not marked, so that a crash in it would not be known: {}",
              file.name, marked.message());
}

void Residency::PublishProgress(const LoadJob& job, const LoadProgress& progress) {
  const auto found = entries_.find(job.name);
  if (found == entries_.end() || found->second.job.get() != &job) return;
  found->second.progress = progress;
  if (progress.plan) DecideJoins(found->second, "loading", *progress.plan);
  for (const auto& listener : found->second.listeners) listener->OnProgress(progress);
}

void Residency::EndLoad(const std::shared_ptr<LoadJob>& job, const Result<ModelSnapshot>& result) {
  Entry& entry = entries_.at(job->name);
  const std::string device = entry.snapshot.info.device;
  if (result.ok()) entry.snapshot = *result;
  // The controller answers with a grant or a refusal of the load's ticket, which finishes it.
  Books(device).controller.LoadEnded(job->name, result.status(), Now());
  Decide(device);
}

void Residency::StopIfWaiting(Entry& entry) {
  if (!entry.job || entry.is_running || !entry.job->stopped()) return;
  const std::string name = entry.snapshot.file.name;
  const std::string device = entry.snapshot.info.device;
  const TicketId ticket = entry.ticket;
  FinishLoad(name, entry.job->StopStatus());
  if (ticket == 0) return;  // its header is being read; RequestMemory finds it gone
  Books(device).controller.Withdraw(ticket, Now());
  if (!shutting_down_) Decide(device);
}

void Residency::FinishLoad(const std::string& name, const Status& status) {
  --n_jobs_;
  Entry& entry = entries_.at(name);
  if (status.ok()) DecideJoins(entry, "ready", entry.snapshot.info);
  std::vector<std::shared_ptr<LoadListener>> listeners = std::move(entry.listeners);
  for (auto& [request, listener] : entry.undecided) listeners.push_back(std::move(listener));
  entry.listeners.clear();
  entry.undecided.clear();
  entry.job.reset();
  entry.ticket = 0;
  // A stop says nothing about the file, nor do options that it cannot be loaded with.
  const bool is_others_fault =
      status.code() == StatusCode::kCancelled || status.reason() == "SHUTTING_DOWN" ||
      status.reason() == "INVALID_REQUEST" || status.reason() == "CONTEXT_LENGTH_EXCEEDED" ||
      status.reason() == "MODEL_IS_ENCODER";
  if (status.ok()) {
    SetState(entry, ModelState::kReady);
  } else if (is_others_fault) {
    SetState(entry, ModelState::kOnDisk);
  } else {
    entry.snapshot.error = TruncateUtf8(status.message(), ResidencyEvent::kMaxTextBytes);
    SetState(entry, ModelState::kFailed);
  }
  if (!entry.is_refused) PublishLoadEnd(entry, status);
  const Result<ModelSnapshot> answer =
      status.ok() ? Result<ModelSnapshot>(SnapshotOf(entry)) : Result<ModelSnapshot>(status);
  if (entry.lifecycle.state() == ModelState::kOnDisk) entries_.erase(name);
  for (const auto& listener : listeners) listener->OnLoaded(answer);
  PublishChange();
}

}  // namespace forge
