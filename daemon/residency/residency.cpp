#include "daemon/residency/residency.h"

#include <fmt/format.h>

#include <boost/asio/post.hpp>

namespace forge {
namespace {

// Loads compete for one disk and one memory bus: two keep both busy, more only slow each other.
constexpr size_t kLoadingThreads = 2;

Status ShuttingDown() {
  return Unavailable("the daemon is shutting down").WithReason("SHUTTING_DOWN");
}

Status Busy(const std::string& name, std::string_view doing) {
  return Unavailable(fmt::format("model '{}' is being {}; try again shortly", name, doing))
      .WithReason("MODEL_BUSY")
      .WithDetail("model", name);
}

Status NotLoaded(const std::string& name) {
  return FailedPrecondition(
             fmt::format("model '{}' is not loaded; load it with: forgectl load {}", name, name))
      .WithReason("MODEL_NOT_LOADED")
      .WithDetail("model", name);
}

}  // namespace

template <typename Call>
auto Residency::OnStrand(Call call) -> decltype(call()) {
  std::promise<decltype(call())> promise;
  auto future = promise.get_future();
  boost::asio::post(strand_, [&promise, &call] {
    if constexpr (std::is_void_v<decltype(call())>) {
      call();
      promise.set_value();
    } else {
      promise.set_value(call());
    }
  });
  return future.get();
}

Residency::Residency(Engine& engine, const Catalogue& catalogue, Options options,
                     boost::asio::io_context& io, spdlog::logger& log)
    : engine_(engine),
      catalogue_(catalogue),
      options_(std::move(options)),
      log_(log),
      strand_(boost::asio::make_strand(io)),
      inspect_cache_(engine),
      loaders_(kLoadingThreads) {}

Residency::~Residency() {
  loaders_.join();
  unloaders_.join();
}

void Residency::Load(const ModelFile& file, const LoadRequest& request,
                     std::shared_ptr<LoadListener> listener) {
  boost::asio::post(strand_, [this, file, request, listener = std::move(listener)] {
    StartOrJoin(file, request, listener);
  });
}

void Residency::CancelLoad(const std::string& name) {
  boost::asio::post(strand_, [this, name] {
    const auto found = entries_.find(name);
    if (found != entries_.end() && found->second.job) {
      found->second.job->Stop(StopCause::kCancelled);
    }
  });
}

void Residency::Unload(const std::string& name, UnloadDone done) {
  boost::asio::post(strand_, [this, name, done = std::move(done)]() mutable {
    StartUnload(name, std::move(done));
  });
}

std::optional<ModelSnapshot> Residency::Find(const std::string& name) {
  return OnStrand([this, &name]() -> std::optional<ModelSnapshot> {
    const auto found = entries_.find(name);
    if (found == entries_.end()) return std::nullopt;
    return found->second.snapshot;
  });
}

Result<ModelSnapshot> Residency::FindReady(const std::string& model) {
  std::optional<ModelSnapshot> found = Find(model);
  std::string name = model;
  if (!found) {
    FORGE_ASSIGN_OR_RETURN(const ModelFile file, catalogue_.Resolve(model));
    name = file.name;
    found = Find(name);
  }
  if (!found) return NotLoaded(name);
  switch (found->state) {
    case ModelState::kReady:
      return *std::move(found);
    case ModelState::kLoading:
      return Busy(name, "loaded");
    case ModelState::kUnloading:
      return Busy(name, "unloaded");
    case ModelState::kOnDisk:
    case ModelState::kFailed:
      break;
  }
  return NotLoaded(name);
}

std::vector<ModelSnapshot> Residency::List() {
  return OnStrand([this] { return Snapshots(); });
}

Result<ModelFileInfo> Residency::Inspect(const ModelFile& file, const LoadRequest& request) {
  const ResolvedLoadOptions resolved = ResolveLoadOptions(request, options_.load_defaults);
  return inspect_cache_.Inspect(file, resolved.device, resolved.options);
}

void Residency::Ping(std::function<void()> pong) { boost::asio::post(strand_, std::move(pong)); }

void Residency::BeginShutdown() {
  boost::asio::post(strand_, [this] {
    shutting_down_ = true;
    for (auto& [name, entry] : entries_) {
      if (entry.job) entry.job->Stop(StopCause::kShutdown);
    }
  });
}

void Residency::Stop() {
  BeginShutdown();
  OnStrand([] {});  // no load starts after this
  loaders_.join();
  unloaders_.join();
  OnStrand([] {});  // every load and unload has ended, and told those who wait
}

// ---- On the strand

void Residency::StartOrJoin(const ModelFile& file, const LoadRequest& request,
                            const std::shared_ptr<LoadListener>& listener) {
  if (shutting_down_) return listener->OnLoaded(ShuttingDown());
  const auto found = entries_.find(file.name);
  if (found == entries_.end() || found->second.lifecycle.state() == ModelState::kFailed) {
    return StartLoad(file, request, listener);
  }
  Join(found->second, request, listener);
}

void Residency::Join(Entry& entry, const LoadRequest& request,
                     const std::shared_ptr<LoadListener>& listener) {
  const std::string& name = entry.snapshot.file.name;
  if (entry.lifecycle.state() == ModelState::kUnloading) {
    return listener->OnLoaded(Busy(name, "unloaded"));
  }
  if (entry.lifecycle.state() == ModelState::kReady) {
    const Status same =
        CheckSameOptions(name, "ready", request, OptionsInEffect(entry.snapshot.info));
    return listener->OnLoaded(same.ok() ? Result<ModelSnapshot>(entry.snapshot) : same);
  }
  listener->OnProgress(entry.progress);
  if (request.empty()) {
    entry.listeners.push_back(listener);
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
  entry.job = std::make_shared<LoadJob>();
  entry.job->name = file.name;
  entry.job->file = file;
  entry.job->options = ResolveLoadOptions(request, options_.load_defaults);
  entry.job->start = std::chrono::steady_clock::now();
  entry.job->deadline = entry.job->start + options_.load_deadline;
  SetState(entry, ModelState::kLoading);
  log_.info("loading model '{}' from {}", file.name, file.path);
  listener->OnProgress(entry.progress);
  ++n_jobs_;
  boost::asio::post(loaders_, [this, job = entry.job] { RunLoad(job); });
}

void Residency::PublishProgress(const LoadJob& job, const LoadProgress& progress) {
  const auto found = entries_.find(job.name);
  if (found == entries_.end() || found->second.job.get() != &job) return;
  found->second.progress = progress;
  if (progress.plan) DecideJoins(found->second, "loading", *progress.plan);
  for (const auto& listener : found->second.listeners) listener->OnProgress(progress);
}

void Residency::FinishLoad(const LoadJob& job, const Result<ModelSnapshot>& result) {
  Entry& entry = entries_.at(job.name);
  if (result.ok()) DecideJoins(entry, "ready", result->info);
  std::vector<std::shared_ptr<LoadListener>> listeners = std::move(entry.listeners);
  for (auto& [request, listener] : entry.undecided) listeners.push_back(std::move(listener));
  entry.listeners.clear();
  entry.undecided.clear();
  entry.job.reset();
  const bool was_cancelled = result.status().code() == StatusCode::kCancelled ||
                             result.status().reason() == "SHUTTING_DOWN";
  if (result.ok()) {
    entry.snapshot = *result;
    SetState(entry, ModelState::kReady);
    log_.info("model '{}' is ready on {} after {:.1f} s, {} bytes", job.name,
              entry.snapshot.info.device,
              std::chrono::duration<double>(entry.snapshot.load_duration).count(),
              entry.snapshot.info.total_bytes());
  } else if (was_cancelled) {
    log_.info("load of model '{}' was cancelled", job.name);
    SetState(entry, ModelState::kOnDisk);
  } else {
    entry.snapshot.error = result.status().message();
    log_.warn("model '{}' could not be loaded: {}", job.name, result.status().ToString());
    SetState(entry, ModelState::kFailed);
  }
  const Result<ModelSnapshot> answer =
      result.ok() ? Result<ModelSnapshot>(entry.snapshot) : result.status();
  if (entry.lifecycle.state() == ModelState::kOnDisk) entries_.erase(job.name);
  for (const auto& listener : listeners) listener->OnLoaded(answer);
  PublishChange();
}

void Residency::StartUnload(const std::string& name, UnloadDone done) {
  const auto found = entries_.find(name);
  if (found == entries_.end()) return done(NotLoaded(name));
  Entry& entry = found->second;
  switch (entry.lifecycle.state()) {
    case ModelState::kOnDisk:
    case ModelState::kFailed:
      return done(NotLoaded(name));
    case ModelState::kLoading:
      return done(Busy(name, "loaded"));
    case ModelState::kUnloading:
      entry.unload_callbacks.push_back(std::move(done));
      return;
    case ModelState::kReady:
      break;
  }
  entry.unload_callbacks = {std::move(done)};
  SetState(entry, ModelState::kUnloading);
  PublishChange();
  ++n_jobs_;
  boost::asio::post(unloaders_, [this, name, id = entry.snapshot.id] {
    const Result<uint64_t> freed_bytes = engine_.Unload(id);
    boost::asio::post(strand_, [this, name, freed_bytes] {
      --n_jobs_;
      FinishUnload(name, freed_bytes);
    });
  });
}

void Residency::FinishUnload(const std::string& name, const Result<uint64_t>& freed_bytes) {
  Entry& entry = entries_.at(name);
  const std::vector<UnloadDone> callbacks = std::move(entry.unload_callbacks);
  // The engine refuses only a model that it does not have, so the model is gone in any case.
  SetState(entry, ModelState::kOnDisk);
  entries_.erase(name);
  if (freed_bytes.ok()) {
    log_.info("model '{}' is unloaded, {} bytes are free again", name, *freed_bytes);
  } else {
    log_.error("model '{}' was not in the engine: {}", name, freed_bytes.status().ToString());
  }
  for (const UnloadDone& done : callbacks) done(freed_bytes);
  PublishChange();
}

void Residency::SetState(Entry& entry, ModelState state) {
  const Status status = entry.lifecycle.Transition(state);
  FORGE_CHECK(status.ok(), status.message());
  entry.snapshot.state = state;
}

void Residency::PublishChange() {
  if (options_.on_change) options_.on_change(Snapshots());
}

std::vector<ModelSnapshot> Residency::Snapshots() const {
  std::vector<ModelSnapshot> snapshots;
  for (const auto& [name, entry] : entries_) snapshots.push_back(entry.snapshot);
  return snapshots;
}

// ---- On a loading thread

void Residency::LoadJob::Stop(StopCause cause) {
  StopCause none = StopCause::kNone;
  stop_cause.compare_exchange_strong(none, cause);
}

bool Residency::LoadJob::stopped() {
  if (std::chrono::steady_clock::now() > deadline) Stop(StopCause::kDeadline);
  return stop_cause.load() != StopCause::kNone;
}

Status Residency::LoadJob::StopStatus() const {
  if (stop_cause.load() == StopCause::kShutdown) return ShuttingDown();
  if (stop_cause.load() == StopCause::kCancelled) {
    return Cancelled(fmt::format("the load of model '{}' was cancelled", name))
        .WithReason("LOAD_CANCELLED")
        .WithDetail("model", name);
  }
  const auto limit = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - start);
  return Status(StatusCode::kDeadlineExceeded,
                fmt::format("the load of model '{}' took longer than limits.load_deadline, {} ms",
                            name, limit.count()))
      .WithReason("LOAD_TOO_SLOW")
      .WithDetail("model", name)
      .WithDetail("limitMs", static_cast<uint64_t>(limit.count()));
}

void Residency::RunLoad(const std::shared_ptr<LoadJob>& job) {
  Result<ModelSnapshot> result = LoadNow(job);
  // The engine reports a stop as kCancelled, whatever the cause.
  if (result.status().code() == StatusCode::kCancelled && job->stopped()) {
    result = job->StopStatus();
  }
  boost::asio::post(strand_, [this, job, result = std::move(result)] {
    --n_jobs_;
    FinishLoad(*job, result);
  });
}

Result<ModelSnapshot> Residency::LoadNow(const std::shared_ptr<LoadJob>& job) {
  const ResolvedLoadOptions& resolved = job->options;
  if (job->stopped()) return Cancelled("stopped before it began");
  FORGE_ASSIGN_OR_RETURN(ModelFileInfo plan,
                         inspect_cache_.Inspect(job->file, resolved.device, resolved.options));
  LoadProgress progress;
  progress.phase = LoadPhase::kAdmission;
  progress.plan = plan;
  PostProgress(job, progress);
  FORGE_ASSIGN_OR_RETURN(const ModelId id, engine_.Load(job->file.path, resolved.device,
                                                        resolved.options, MakeObserver(job, plan)));
  ModelSnapshot snapshot;
  snapshot.file = job->file;
  snapshot.id = id;
  snapshot.load_time = std::chrono::system_clock::now();
  snapshot.load_duration = std::chrono::steady_clock::now() - job->start;
  FORGE_ASSIGN_OR_RETURN(const ModelStatus status, engine_.GetModel(id));
  snapshot.info = status.info;
  return snapshot;
}

LoadObserver Residency::MakeObserver(const std::shared_ptr<LoadJob>& job,
                                     const ModelFileInfo& plan) {
  struct Rate {
    std::optional<std::chrono::steady_clock::time_point> start;
    uint64_t first_bytes = 0;
  };
  return [this, job, plan, rate = Rate()](const LoadProgressInfo& info) mutable {
    LoadProgress progress;
    progress.phase = info.phase;
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
    PostProgress(job, std::move(progress));
    return !job->stopped();
  };
}

void Residency::PostProgress(const std::shared_ptr<LoadJob>& job, LoadProgress progress) {
  boost::asio::post(
      strand_, [this, job, progress = std::move(progress)] { PublishProgress(*job, progress); });
}

}  // namespace forge
