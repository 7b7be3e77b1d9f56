#include "daemon/residency/residency.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "daemon/residency/on_strand.h"
#include "kernels/base/check.h"
#include "kernels/base/exceptions.h"

namespace forge {
namespace {

// Loads compete for one disk and one memory bus: two keep both busy, more only slow each other.
constexpr size_t kLoadingThreads = 2;

Status NotLoaded(const std::string& name) {
  return FailedPrecondition(
             fmt::format("model '{}' is not loaded; load it with: forgectl load {}", name, name))
      .WithReason("MODEL_NOT_LOADED")
      .WithDetail("model", name);
}

Status NothingToUnload(const std::string& name) {
  return FailedPrecondition(fmt::format("model '{}' is not loaded, so that there is nothing to "
                                        "unload; forgectl ps shows what is loaded",
                                        name))
      .WithReason("MODEL_NOT_LOADED")
      .WithDetail("model", name);
}

Status UnloadedByName(const std::string& name) {
  return Cancelled(fmt::format("model '{}' was unloaded before its request had its turn; load it "
                               "with: forgectl load {}",
                               name, name))
      .WithReason("MODEL_NOT_LOADED")
      .WithDetail("model", name);
}

std::vector<std::string> DeviceIds(const Engine& engine) {
  std::vector<std::string> ids;
  for (const DeviceMemory& memory : engine.Memory()) ids.push_back(memory.device);
  return ids;
}

}  // namespace

// ---- ModelLease

ModelLease::ModelLease(ModelLease&& other) noexcept
    : residency_(std::exchange(other.residency_, nullptr)),
      ticket_(other.ticket_),
      model_(std::move(other.model_)) {}

ModelLease& ModelLease::operator=(ModelLease&& other) noexcept {
  std::swap(residency_, other.residency_);
  std::swap(ticket_, other.ticket_);
  std::swap(model_, other.model_);
  return *this;
}

ModelLease::~ModelLease() {
  if (residency_ == nullptr) return;
  UntilMemory([this] {
    PostHandler(residency_->strand_,
                [residency = residency_, ticket = ticket_] { residency->Release(ticket); });
  });
}

// ---- Any thread

Residency::Residency(Engine& engine, const Catalogue& catalogue, Options options,
                     boost::asio::io_context& io, spdlog::logger& log)
    : engine_(engine),
      catalogue_(catalogue),
      options_(std::move(options)),
      io_(io),
      log_(log),
      strand_(io.get_executor()),
      inspect_cache_(engine),
      device_ids_(DeviceIds(engine)),
      loaders_(kLoadingThreads) {
  if (options_.on_event) on_event_ = journal_.Subscribe(/*n_kept=*/0, options_.on_event);
}

Residency::~Residency() {
  loaders_.join();
  unloaders_.join();
}

void Residency::Load(const ModelFile& file, const LoadRequest& request,
                     std::shared_ptr<LoadListener> listener) {
  Post([this, file, request, listener] { StartOrJoin(file, request, listener); },
       [listener](const Status& status) { listener->OnLoaded(status); });
}

void Residency::CancelLoad(const std::string& name) {
  PostHandler(strand_, [this, name] {
    const auto found = entries_.find(name);
    if (found == entries_.end() || !found->second.job) return;
    found->second.job->Stop(LoadJob::StopCause::kCancelled);
    StopIfWaiting(found->second);
  });
}

void Residency::Unload(const std::string& name, UnloadDone done) {
  Post([this, name, done] { StartUnload(name, done); },
       [done](const Status& status) { done(status); });
}

std::vector<std::string> Residency::Yield() {
  return OnStrand([this] {
    std::vector<std::string> before, going;
    for (const auto& [name, entry] : entries_)
      if (entry.lifecycle.state() == ModelState::kReady) before.push_back(name);
    for (auto& [device, books] : books_) {
      books.controller.Yield();
      Decide(device);
    }
    for (const std::string& name : before)
      if (entries_.at(name).lifecycle.state() == ModelState::kUnloading) going.push_back(name);
    return going;
  });
}

Status Residency::SetPinned(const std::string& name, bool pinned) {
  return OnStrand([&]() -> Status {
    const auto found = entries_.find(name);
    if (found == entries_.end() || found->second.lifecycle.state() != ModelState::kReady)
      return NotLoaded(name);
    LoadRequest change;
    change.pinned = pinned;
    return Keep(found->second, change);
  });
}

void Residency::Acquire(const std::string& name, LeaseDone done) {
  Post([this, name, done] { StartAcquire(name, done); },
       [done](const Status& status) { done(status); });
}

std::optional<ModelSnapshot> Residency::Find(const std::string& name) {
  return OnStrand([this, &name]() -> std::optional<ModelSnapshot> {
    const auto found = entries_.find(name);
    if (found == entries_.end()) return std::nullopt;
    return SnapshotOf(found->second);
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
      return ModelBusyStatus(name, "loaded");
    case ModelState::kUnloading:
      return ModelBusyStatus(name, "unloaded");
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
  FORGE_ASSIGN_OR_RETURN(const std::vector<ModelFileInfo> plans, InspectDevices(file, request));
  if (plans.size() == 1) return plans.front();
  return OnStrand(
      [&] { return plans[ChooseDevice(file.name, plans, request.priority.value_or(0))]; });
}

Result<std::vector<ModelFileInfo>> Residency::InspectDevices(const ModelFile& file,
                                                             const LoadRequest& request) {
  std::vector<ModelFileInfo> plans;
  const std::string wanted = request.device.value_or(options_.load_defaults.device);
  if (wanted != kAutoDevice) {
    FORGE_ASSIGN_OR_RETURN(plans.emplace_back(), InspectDevice(file, wanted, request));
    return plans;
  }
  Status first_failure;
  for (const std::string& device : device_ids_) {
    Result<ModelFileInfo> plan = InspectDevice(file, device, request);
    if (plan.ok()) {
      plans.push_back(*std::move(plan));
    } else if (first_failure.ok()) {
      first_failure = plan.status();
    }
  }
  if (plans.empty()) return first_failure;
  return plans;
}

Result<ModelFileInfo> Residency::InspectDevice(const ModelFile& file, const std::string& device,
                                               const LoadRequest& request) {
  LoadOptions options = ResolveLoadOptions(request, options_.load_defaults).options;
  const auto inspect = [&]() -> Result<ModelFileInfo> {
    if (!request.context_length && options.context_length != 0) {
      // A default is meant for all models, some of which were trained for less.
      LoadOptions own = options;
      own.context_length = 0;
      FORGE_ASSIGN_OR_RETURN(const ModelFileInfo info, inspect_cache_.Inspect(file, device, own));
      options.context_length = std::min(options.context_length, info.longest_context);
    }
    return inspect_cache_.Inspect(file, device, options);
  };
  Result<ModelFileInfo> info = inspect();
  if (!info.ok()) return BlameDefaults(info.status(), request);
  return info;
}

Result<ModelReport> Residency::Report(const ModelFile& file, const LoadRequest& request) {
  FORGE_ASSIGN_OR_RETURN(const ModelFileInfo info, Inspect(file, request));
  return engine_.Report(file.path, info.device, OptionsInEffect(info).options);
}

void Residency::Ping(std::function<void()> pong) { PostHandler(strand_, std::move(pong)); }

void Residency::BeginShutdown() {
  const auto stop_all = [this] {
    shutting_down_ = true;
    for (auto& [name, entry] : entries_)
      if (entry.job) entry.job->Stop(LoadJob::StopCause::kShutdown);
    StopWaiting();
    for (auto& [ticket, lease] : leases_) {
      if (lease.done) lease.done(ShuttingDownStatus());
      lease.done = nullptr;
    }
  };
  PostHandler(strand_, [stop_all] { UntilMemory(stop_all); });
}

void Residency::Stop() {
  UntilMemory([this] {
    BeginShutdown();
    OnStrand([] {});  // no load starts after this
  });
  loaders_.join();
  unloaders_.join();
  // Every load and unload has ended, and told those who wait; no timer keeps the io_context.
  UntilMemory([this] {
    OnStrand([this] {
      for (auto& [device, books] : books_) books.timer.cancel();
    });
  });
}

// ---- Unloads and leases, on the strand

void Residency::StartUnload(const std::string& name, const UnloadDone& done) {
  const auto found = entries_.find(name);
  if (found == entries_.end()) return done(NothingToUnload(name));
  Entry& entry = found->second;
  switch (entry.lifecycle.state()) {
    case ModelState::kOnDisk:
    case ModelState::kFailed:
      return done(NothingToUnload(name));
    case ModelState::kLoading:
      // It is to be gone, so it does not come; nothing is there to be freed.
      entry.job->Stop(LoadJob::StopCause::kCancelled);
      StopIfWaiting(entry);
      return done(uint64_t{0});
    case ModelState::kUnloading:
      entry.unload_callbacks.push_back(done);
      return;
    case ModelState::kReady:
      break;
  }
  const std::string device = entry.snapshot.info.device;
  entry.unload_callbacks = {done};
  const Status asked = Books(device).controller.Unload(name);
  FORGE_CHECK(asked.ok(), asked.message());
  Decide(device);
}

void Residency::RunUnload(const ResidencyAction& action) {
  Entry& entry = entries_.at(action.model);
  RunOn(
      unloaders_,
      [this, id = entry.snapshot.id] { return UntilMemory([&] { return engine_.Unload(id); }); },
      [this, name = action.model](const Result<uint64_t>& freed) { FinishUnload(name, freed); });
  ++n_jobs_;
  SetState(entry, ModelState::kUnloading);
  Tell([&] {
    Publish({.kind = ResidencyEvent::Kind::kUnloading,
             .device = entry.snapshot.info.device,
             .model = action.model,
             .model_id = entry.snapshot.id,
             .reason = action.reason,
             .cause = action.cause,
             .bytes = entry.snapshot.info.total_bytes(),
             .decision = action.decision});
  });
  Tell([this] { PublishChange(); });
}

void Residency::FinishUnload(const std::string& name, const Result<uint64_t>& freed_bytes) {
  Entry& entry = entries_.at(name);
  // What may throw comes first: then this is called again.
  const std::string device = entry.snapshot.info.device;
  // What somebody unloads by name does not come back for those who waited for it.
  const Status gone = entry.unload_callbacks.empty() ? NotLoaded(name) : UnloadedByName(name);
  std::vector<LeaseDone> turned_away;
  turned_away.reserve(leases_.size());
  Books(device).controller.UnloadEnded(name, Now());
  // The engine refuses only a model that it does not have, so the model is gone in any case.
  --n_jobs_;
  DropLeases(name, device, turned_away);
  const std::vector<UnloadDone> callbacks = std::move(entry.unload_callbacks);
  SetState(entry, ModelState::kOnDisk);
  entries_.erase(name);
  Tell([&] {
    if (!freed_bytes.ok())
      log_.error("model '{}' was not in the engine: {}", name, freed_bytes.status().ToString());
    Publish({.kind = ResidencyEvent::Kind::kReleased,
             .device = device,
             .model = name,
             .bytes = freed_bytes.ok() ? *freed_bytes : 0});
  });
  for (const UnloadDone& done : callbacks) UntilMemory([&] { done(freed_bytes); });
  for (const LeaseDone& done : turned_away) UntilMemory([&] { done(gone); });
  Tell([this] { PublishChange(); });
  Decide(device);
}

void Residency::DropLeases(const std::string& name, const std::string& device,
                           std::vector<LeaseDone>& waiting) {
  for (auto lease = leases_.begin(); lease != leases_.end();) {
    if (lease->second.model != name) {
      ++lease;
      continue;
    }
    if (lease->second.done) waiting.push_back(std::move(lease->second.done));
    Books(device).controller.Withdraw(lease->first, Now());
    lease = leases_.erase(lease);
  }
}

void Residency::StartAcquire(const std::string& name, const LeaseDone& done) {
  if (shutting_down_) return done(ShuttingDownStatus());
  const auto found = entries_.find(name);
  if (found == entries_.end()) return done(NotLoaded(name));
  const Entry& entry = found->second;
  switch (entry.lifecycle.state()) {
    case ModelState::kOnDisk:
    case ModelState::kFailed:
      return done(NotLoaded(name));
    case ModelState::kLoading:
      return done(ModelBusyStatus(name, "loaded"));
    case ModelState::kUnloading:
      return done(ModelBusyStatus(name, "unloaded"));
    case ModelState::kReady:
      break;
  }
  const std::string device = entry.snapshot.info.device;
  const TicketId ticket = ++last_ticket_;
  std::map<TicketId, LeaseRecord> record;
  record[ticket] = {name, device, done};
  Books(device).controller.Request(ticket,
                                   {.name = name, .plan_bytes = entry.snapshot.info.total_bytes()},
                                   /*wants_lease=*/true, Now());
  leases_.merge(record);  // nothing may throw from the request on, and this does not
  Decide(device);
}

void Residency::Release(TicketId ticket) {
  const auto found = leases_.find(ticket);
  if (found == leases_.end()) return;
  const std::string device = std::move(found->second.device);
  leases_.erase(found);
  Books(device).controller.Withdraw(ticket, Now());
  Decide(device);
}

void Residency::SetState(Entry& entry, ModelState state) {
  const Status status = entry.lifecycle.Transition(state);
  FORGE_CHECK(status.ok(), status.message());
  entry.snapshot.state = state;
}

Status Residency::Keep(Entry& entry, const LoadRequest& request, bool is_use) {
  const bool says_something = is_use || request.pinned || request.priority || request.keep_alive;
  if (!says_something || request.must_fit_now) return Status();
  const std::string name = entry.snapshot.file.name;
  const std::string device = entry.snapshot.info.device;
  const bool is_known = !entry.job || entry.ticket != 0;  // to the controller
  if (is_known) {
    const KeepingChange change = {request.pinned, request.priority, request.keep_alive, is_use};
    FORGE_TRY(Books(device).controller.Keep(name, change, Now()));
  }
  if (request.pinned) entry.request.pinned = request.pinned;
  if (request.priority) entry.request.priority = request.priority;
  if (request.keep_alive) entry.request.keep_alive = request.keep_alive;
  if (!is_known) return Status();
  if (request.pinned && entry.lifecycle.state() == ModelState::kReady) {
    using enum ResidencyEvent::Kind;
    Tell([&] {
      Publish({.kind = *request.pinned ? kPinned : kUnpinned,
               .device = device,
               .model = name,
               .bytes = entry.snapshot.info.total_bytes()});
    });
  }
  Tell([this] { PublishChange(); });
  // Later, because this may be part of carrying out what was decided.
  PostHandler(strand_, [this, device] {
    if (!shutting_down_) Decide(device);
  });
  return Status();
}

ModelSnapshot Residency::WithKeeping(ModelSnapshot snapshot) const {
  const auto books = books_.find(snapshot.info.device);
  if (books == books_.end() || snapshot.state != ModelState::kReady) return snapshot;
  const auto keeping = books->second.controller.KeepingOf(snapshot.file.name);
  if (!keeping) return snapshot;
  snapshot.pinned = keeping->pinned;
  snapshot.priority = keeping->priority;
  snapshot.keep_alive = keeping->keep_alive;
  if (keeping->end)
    snapshot.expire_time = std::chrono::system_clock::now() + (*keeping->end - Now());
  return snapshot;
}

void Residency::PublishChange() {
  if (options_.on_change) options_.on_change(Snapshots());
}

std::vector<ModelSnapshot> Residency::Snapshots() const {
  std::vector<ModelSnapshot> snapshots;
  for (const auto& [name, entry] : entries_) snapshots.push_back(SnapshotOf(entry));
  return snapshots;
}

}  // namespace forge
