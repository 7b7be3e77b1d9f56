#include "daemon/residency/residency_controller.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <tuple>

#include "kernels/base/byte_text.h"
#include "kernels/base/check.h"

namespace forge {
namespace {

using Action = ResidencyAction;
using std::chrono::milliseconds;

// How often free memory is looked at while something waits for other programs to give it back.
constexpr milliseconds kPollInterval{1000};

Status NotLoaded(const std::string& model) {
  return FailedPrecondition(
             fmt::format("model '{}' is not loaded; load it with: forgectl load {}", model, model))
      .WithReason("MODEL_NOT_LOADED")
      .WithDetail("model", model);
}

}  // namespace

bool ResidencyController::Entry::holds_memory() const {
  return state() == ModelState::kLoading || state() == ModelState::kReady ||
         state() == ModelState::kUnloading;
}

// ---- What happened

void ResidencyController::DoRequest(TicketId ticket, const ModelDemand& demand, bool wants_lease,
                                    ResidencyTime now) {
  Entry& entry = entries_[demand.name];
  const bool file_changed = entry.demand.file_version != demand.file_version;
  if (entry.state() == ModelState::kFailed && (file_changed || demand.ignores_cooldown))
    entry.cooldown.until = now;
  if (entry.state() == ModelState::kFailed && file_changed) entry.cooldown.n_failures = 0;
  if (entry.holds_memory() || IsWanted(demand.name)) {
    // A lease says nothing of how important its model is.
    if (!wants_lease) entry.demand.priority = std::max(entry.demand.priority, demand.priority);
  } else {
    entry.demand = demand;
  }
  waiting_.push_back({ticket, demand.name, wants_lease, now, std::nullopt});
}

void ResidencyController::Withdraw(TicketId ticket, ResidencyTime now) {
  std::erase_if(waiting_, [ticket](const Waiting& w) { return w.ticket == ticket; });
  const auto lease = leases_.find(ticket);
  if (lease == leases_.end()) return;
  Entry& entry = At(lease->second);
  entry.leases.erase(ticket);
  if (entry.leases.empty()) entry.idle_since = now;
  leases_.erase(lease);
}

void ResidencyController::DoLoadEnded(const std::string& model, const Status& status,
                                      ResidencyTime now) {
  Entry& entry = At(model);
  if (status.ok()) {
    SetState(entry, ModelState::kReady);
    entry.ready_since = entry.idle_since = now;
    entry.cooldown.n_failures = 0;
    entry.was_leased = false;
    const double seconds = std::chrono::duration<double>(now - entry.load_start).count();
    entry.load_seconds = std::max(seconds, 1e-3);
    return;
  }
  RefuseAll(model, status, pending_);
  // What the load had allocated is freed as by an unload, and shows as late.
  if (settings_.reading_lag > ResidencyTime(0))
    returning_.push_back({model, entry.demand.plan_bytes, now + settings_.reading_lag});
  if (status.code() == StatusCode::kCancelled || status.reason() == "SHUTTING_DOWN") {
    SetState(entry, ModelState::kOnDisk);
    return;
  }
  SetState(entry, ModelState::kFailed);
  entry.cooldown.Start(status, settings_.first_cooldown, settings_.longest_cooldown, now);
}

void ResidencyController::DoUnloadEnded(const std::string& model, ResidencyTime now) {
  Entry& entry = At(model);
  SetState(entry, ModelState::kOnDisk);
  returning_.push_back({model, entry.demand.plan_bytes, now + settings_.reading_lag});
  entry.is_closing = entry.unload_asked = false;
}

Status ResidencyController::Keep(const std::string& model, const KeepingChange& change,
                                 ResidencyTime now) {
  const auto found = entries_.find(model);
  if (found == entries_.end() || found->second.state() == ModelState::kUnloading ||
      (!found->second.holds_memory() && !IsWanted(model)))
    return NotLoaded(model);
  Entry& entry = found->second;
  entry.demand.pinned = change.pinned.value_or(entry.demand.pinned);
  entry.demand.priority = change.priority.value_or(entry.demand.priority);
  if (change.is_use) entry.idle_since = now;
  if (!change.keep_alive) return Status();
  entry.demand.keep_alive = change.keep_alive;
  entry.idle_since = now;
  entry.was_leased = !entry.leases.empty();
  return Status();
}

Status ResidencyController::Unload(const std::string& model) {
  const auto found = entries_.find(model);
  if (found == entries_.end() || found->second.state() != ModelState::kReady)
    return NotLoaded(model);
  found->second.unload_asked = true;
  return Status();
}

// ---- What to do now

ResidencyActions ResidencyController::DoDecide(const DeviceState& device, ResidencyTime now) {
  ResidencyActions actions = std::move(pending_);
  pending_.clear();
  for (auto& [model, entry] : entries_)
    if (entry.unload_asked && entry.state() == ModelState::kReady)
      StartUnload(model, Action::UnloadCause::kAsked, "it was asked for", actions);
  GrantReady(now, actions);
  RetireIdle(now, actions);
  RelievePressure(device, now, actions);
  PlaceWaiting(device, now, actions);
  GrantReady(now, actions);  // those that are in nobody's way any more
  TellPositions(now, actions);
  ForgetUnwanted(now);
  return actions;
}

void ResidencyController::GrantReady(ResidencyTime now, ResidencyActions& actions) {
  const auto grant = [&](const Waiting& waiting) {
    Entry& entry = At(waiting.model);
    if (entry.state() != ModelState::kReady || entry.is_closing) return false;
    if (waiting.wants_lease) {
      entry.leases.insert(waiting.ticket);
      entry.was_leased = true;
      leases_[waiting.ticket] = waiting.model;
    } else if (entry.leases.empty()) {
      entry.idle_since = now;
    }
    CountUse(entry, now);
    actions.push_back(
        {.kind = Action::Kind::kGrant, .model = waiting.model, .ticket = waiting.ticket});
    return true;
  };
  std::erase_if(waiting_, grant);
}

void ResidencyController::RetireIdle(ResidencyTime now, ResidencyActions& actions) {
  for (auto& [model, entry] : entries_) {
    if (!entry.may_retire()) continue;
    const std::optional<ResidencyTime> end = KeepAliveEnd(entry);
    if (yield_) {
      StartUnload(model, Action::UnloadCause::kYield, "its memory was asked for", actions);
    } else if (end && now >= *end) {
      StartUnload(model, Action::UnloadCause::kKeepAlive, "nobody used it for its keep_alive",
                  actions);
    }
  }
  yield_ = false;
}

void ResidencyController::RelievePressure(const DeviceState& device, ResidencyTime now,
                                          ResidencyActions& actions) {
  const uint64_t free_bytes = device.reading.free_bytes;
  if (settings_.low_water_bytes == 0) return;
  if (free_bytes < settings_.low_water_bytes) is_paused_ = true;
  if (free_bytes >= settings_.high_water_bytes) is_paused_ = false;
  if (!is_paused_) return;
  uint64_t returning = 0;
  for (const auto& [model, entry] : entries_)
    if (entry.state() == ModelState::kUnloading) returning += entry.demand.plan_bytes;
  for (const Returning& freed : returning_)
    if (now < freed.until) returning += freed.bytes;
  const uint64_t expected_bytes = free_bytes + returning;
  if (expected_bytes >= settings_.high_water_bytes) return;
  const uint64_t needed_bytes = settings_.high_water_bytes - expected_bytes;
  for (const std::string& model : ChooseToFree(Residents(now), needed_bytes))
    StartUnload(model, Action::UnloadCause::kPressure,
                fmt::format("other programs left {} free, less than {}", ByteText(free_bytes),
                            ByteText(settings_.low_water_bytes)),
                actions);
}

void ResidencyController::PlaceWaiting(const DeviceState& device, ResidencyTime now,
                                       ResidencyActions& actions) {
  wait_reason_.clear();
  wait_decision_.reset();
  std::string held_up;
  for (const std::string& model : LoadOrder(now)) {
    if (Place(model, device, now, actions)) continue;
    held_up = model;
    break;
  }
  // What closed for a model stays closed until that one is served. Its needs change with every
  // lease and every reading, and what opened again in between would be in its way for ever.
  if (closed_for_ == held_up) return;
  closed_for_.clear();
  for (auto& [model, entry] : entries_) entry.is_closing = false;
}

bool ResidencyController::Place(const std::string& model, const DeviceState& device,
                                ResidencyTime now, ResidencyActions& actions) {
  Entry& entry = At(model);
  if (entry.state() == ModelState::kLoading || entry.state() == ModelState::kReady) return true;
  if (entry.state() == ModelState::kUnloading) {
    wait_reason_ = fmt::format("model '{}' is being unloaded first", model);
    return false;
  }
  if (entry.state() == ModelState::kFailed) {
    const Status cooling = entry.cooldown.Check(model, now);
    if (!cooling.ok()) {
      RefuseAll(model, cooling, actions);
      return true;
    }
  }
  if (is_paused_) {
    wait_reason_ =
        fmt::format("other programs left less than {} free", ByteText(settings_.low_water_bytes));
    return false;
  }
  const WantedModel wanted = {model, entry.demand.plan_bytes, entry.demand.priority};
  const auto record = std::make_shared<const DecisionRecord>(
      RecordDecision(settings_.memory, Corrected(device, now), Residents(now), wanted));
  const ResidencyDecision& decision = record->decision;
  const std::string reason = ExplainDecision(decision, wanted);
  switch (decision.kind) {
    case ResidencyDecision::Kind::kAdmit:
      SetState(entry, ModelState::kLoading);
      entry.load_start = now;
      actions.push_back(
          {.kind = Action::Kind::kStartLoad, .model = model, .reason = reason, .decision = record});
      return true;
    case ResidencyDecision::Kind::kEvict:
      for (const std::string& victim : decision.models)
        StartUnload(victim, Action::UnloadCause::kEvicted, reason, actions, record);
      break;
    case ResidencyDecision::Kind::kWait:
      if (now - OldestRequest(model) >= settings_.patience) CloseFor(model, decision.models);
      break;
    case ResidencyDecision::Kind::kRefuse:
      if (MayFitLater(device, wanted.plan_bytes, now)) break;
      RefuseAll(model, ResidencyRefusal(decision, settings_.memory, wanted, settings_.device_id),
                actions, record);
      return true;
  }
  wait_reason_ = reason;
  wait_decision_ = record;
  return false;
}

void ResidencyController::CloseFor(const std::string& model,
                                   const std::vector<std::string>& in_the_way) {
  if (closed_for_ != model)
    for (auto& [name, entry] : entries_) entry.is_closing = false;
  closed_for_ = model;
  for (const std::string& name : in_the_way)
    // One that still loads first serves those who wait for it.
    if (const auto found = entries_.find(name);
        found != entries_.end() && found->second.state() == ModelState::kReady)
      found->second.is_closing = true;
}

std::optional<ResidencyTime> ResidencyController::NextDecision(ResidencyTime now) const {
  std::optional<ResidencyTime> next;
  const auto consider = [&next, now](ResidencyTime time) {
    if (time > now) next = std::min(next.value_or(time), time);
  };
  if (!waiting_.empty() || settings_.low_water_bytes > 0) consider(now + kPollInterval);
  for (const auto& [model, entry] : entries_) {
    if (entry.state() != ModelState::kReady) continue;
    if (!waiting_.empty()) consider(entry.ready_since + settings_.min_residence);
    const std::optional<ResidencyTime> end = KeepAliveEnd(entry);
    if (end && entry.may_retire()) consider(*end);
  }
  return next;
}

DecisionRecord ResidencyController::Preview(const DeviceState& device, const WantedModel& wanted,
                                            ResidencyTime now) const {
  std::vector<Resident> others = Residents(now);
  std::erase_if(others, [&wanted](const Resident& r) { return r.name == wanted.name; });
  return RecordDecision(settings_.memory, Corrected(device, now), std::move(others), wanted);
}

DeviceState ResidencyController::Corrected(const DeviceState& device, ResidencyTime now) const {
  DeviceState corrected = device;
  for (const Returning& freed : returning_)
    if (now < freed.until) corrected.allocated_bytes += freed.bytes;
  // What was allocated a moment ago may still show as free, as if it were only promised.
  uint64_t unseen_bytes = 0;
  for (const auto& [model, entry] : entries_) {
    const bool is_recent =
        entry.state() == ModelState::kLoading ||
        (entry.holds_memory() && now - entry.ready_since < settings_.reading_lag);
    if (is_recent && settings_.reading_lag > ResidencyTime(0))
      unseen_bytes += entry.demand.plan_bytes;
  }
  corrected.allocated_bytes -= std::min(unseen_bytes, corrected.allocated_bytes);
  return corrected;
}

bool ResidencyController::MayFitLater(const DeviceState& device, uint64_t plan_bytes,
                                      ResidencyTime now) const {
  uint64_t returning_bytes = 0;
  bool is_late = false;
  for (const Returning& freed : returning_)
    if (now < freed.until) returning_bytes += freed.bytes;
  for (const auto& [model, entry] : entries_)
    is_late = is_late || (entry.holds_memory() && now - entry.ready_since < settings_.reading_lag);
  if (!is_late && returning_bytes == 0) return false;
  MemoryReading alone = device.reading;
  alone.free_bytes =
      std::min(alone.total_bytes, alone.free_bytes + device.allocated_bytes + returning_bytes);
  return DecideAdmission(settings_.memory, alone, 0, 0, plan_bytes).admitted;
}

// ---- The books

uint64_t ResidencyController::bytes_promised() const {
  uint64_t bytes = 0;
  for (const auto& [model, entry] : entries_)
    if (entry.holds_memory()) bytes += entry.demand.plan_bytes;
  return bytes;
}

std::optional<ModelState> ResidencyController::StateOf(const std::string& model) const {
  const auto found = entries_.find(model);
  if (found == entries_.end()) return std::nullopt;
  return found->second.state();
}

std::optional<ModelKeeping> ResidencyController::KeepingOf(const std::string& model) const {
  const auto found = entries_.find(model);
  if (found == entries_.end()) return std::nullopt;
  const Entry& entry = found->second;
  return ModelKeeping{.pinned = entry.demand.pinned,
                      .priority = entry.demand.priority,
                      .keep_alive = KeepAliveOf(entry),
                      .end = entry.may_retire() ? KeepAliveEnd(entry) : std::nullopt};
}

size_t ResidencyController::n_leases(const std::string& model) const {
  const auto found = entries_.find(model);
  return found == entries_.end() ? 0 : found->second.leases.size();
}

std::vector<Resident> ResidencyController::Residents(ResidencyTime now) const {
  std::vector<Resident> residents;
  for (const auto& [model, entry] : entries_) {
    if (!entry.holds_memory()) continue;
    const double usage = UsageAt(entry, now);
    residents.push_back({.name = model,
                         .bytes = entry.demand.plan_bytes,
                         .phase = entry.state() == ModelState::kLoading ? Resident::Phase::kLoading
                                  : entry.state() == ModelState::kReady
                                      ? Resident::Phase::kReady
                                      : Resident::Phase::kUnloading,
                         .n_leases = static_cast<uint32_t>(entry.leases.size()),
                         .pinned = entry.demand.pinned,
                         .is_settled = now - entry.ready_since >= settings_.min_residence,
                         .priority = entry.demand.priority,
                         .reload_cost = entry.load_seconds,
                         .reuse_chance = usage / (1.0 + usage)});
  }
  for (size_t i = 0; i < returning_.size(); ++i)
    if (now < returning_[i].until)
      residents.push_back({.name = fmt::format("{} (freed {})", returning_[i].model, i),
                           .bytes = returning_[i].bytes,
                           .phase = Resident::Phase::kUnloading});
  return residents;
}

ResidencyController::Entry& ResidencyController::At(const std::string& model) {
  const auto found = entries_.find(model);
  FORGE_CHECK(found != entries_.end(), "no entry for model '" + model + "'");
  return found->second;
}

void ResidencyController::SetState(Entry& entry, ModelState state) {
  const Status status = entry.lifecycle.Transition(state);
  FORGE_CHECK(status.ok(), status.message());
}

void ResidencyController::CountUse(Entry& entry, ResidencyTime now) {
  entry.usage = UsageAt(entry, now) + 1.0;
  entry.usage_time = now;
}

double ResidencyController::UsageAt(const Entry& entry, ResidencyTime now) const {
  const double half_lives = static_cast<double>((now - entry.usage_time).count()) /
                            static_cast<double>(settings_.reuse_half_life.count());
  return entry.usage * std::exp2(-half_lives);
}

// Forgets what is neither in memory nor wanted. Failures stay known for their cool-down, which
// grows with the next one.
void ResidencyController::ForgetUnwanted(ResidencyTime now) {
  std::erase_if(returning_, [now](const Returning& freed) { return now >= freed.until; });
  std::erase_if(entries_, [this](const auto& item) {
    return item.second.state() == ModelState::kOnDisk && !IsWanted(item.first);
  });
}

bool ResidencyController::IsWanted(const std::string& model) const {
  return std::ranges::any_of(waiting_, [&model](const Waiting& w) { return w.model == model; });
}

std::optional<ResidencyTime> ResidencyController::KeepAliveEnd(const Entry& entry) const {
  const std::optional<milliseconds> keep_alive = KeepAliveOf(entry);
  // A model that was loaded and not used yet stays for its first use, whatever its keep_alive.
  if (!keep_alive || (!entry.was_leased && *keep_alive == milliseconds(0))) return std::nullopt;
  return entry.idle_since + *keep_alive;
}

void ResidencyController::StartUnload(const std::string& model, Action::UnloadCause cause,
                                      std::string reason, ResidencyActions& actions,
                                      std::shared_ptr<const DecisionRecord> decision) {
  Entry& entry = At(model);
  SetState(entry, ModelState::kUnloading);
  for (const TicketId ticket : entry.leases) leases_.erase(ticket);
  entry.leases.clear();
  actions.push_back({.kind = Action::Kind::kStartUnload,
                     .model = model,
                     .cause = cause,
                     .reason = std::move(reason),
                     .decision = std::move(decision)});
}

void ResidencyController::RefuseAll(const std::string& model, const Status& status,
                                    ResidencyActions& actions,
                                    const std::shared_ptr<const DecisionRecord>& decision) {
  std::erase_if(waiting_, [&](const Waiting& waiting) {
    if (waiting.model != model) return false;
    actions.push_back({.kind = Action::Kind::kRefuse,
                       .model = model,
                       .ticket = waiting.ticket,
                       .status = status,
                       .reason = std::string(status.message()),
                       .decision = decision});
    return true;
  });
}

void ResidencyController::TellPositions(ResidencyTime now, ResidencyActions& actions) {
  const std::vector<std::string> order = LoadOrder(now);
  const auto decision_about = [this](const std::string& model) {
    return wait_decision_ != nullptr && wait_decision_->wanted.name == model ? wait_decision_
                                                                             : nullptr;
  };
  uint32_t position = 0;
  for (const std::string& model : order) {
    if (At(model).state() == ModelState::kLoading) continue;
    for (Waiting& waiting : waiting_) {
      if (waiting.model != model || waiting.told_position == position) continue;
      waiting.told_position = position;
      actions.push_back({.kind = Action::Kind::kWait,
                         .model = model,
                         .ticket = waiting.ticket,
                         .position = position,
                         .reason = wait_reason_,
                         .decision = decision_about(model)});
    }
    ++position;
  }
}

std::vector<std::string> ResidencyController::LoadOrder(ResidencyTime now) const {
  std::vector<std::tuple<int64_t, size_t, std::string>> order;  // by priority, then arrival
  std::set<std::string> seen;
  for (size_t i = 0; i < waiting_.size(); ++i) {
    const std::string& model = waiting_[i].model;
    if (!seen.insert(model).second) continue;
    const bool is_overdue = now - waiting_[i].since >= settings_.patience;
    const int64_t rank = is_overdue ? std::numeric_limits<int64_t>::min()
                                    : -int64_t{entries_.at(model).demand.priority};
    order.emplace_back(rank, i, model);
  }
  std::ranges::sort(order);
  std::vector<std::string> models;
  for (auto& [rank, arrival, model] : order) models.push_back(std::move(model));
  return models;
}

ResidencyTime ResidencyController::OldestRequest(const std::string& model) const {
  const auto found = std::ranges::find(waiting_, model, &Waiting::model);
  FORGE_CHECK(found != waiting_.end(), "nobody waits for model '" + model + "'");
  return found->since;
}

}  // namespace forge
