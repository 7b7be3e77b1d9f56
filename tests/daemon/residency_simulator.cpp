#include "tests/daemon/residency_simulator.h"

#include <fmt/format.h>

#include <algorithm>

namespace forge::testing {
namespace {

using Kind = ResidencyAction::Kind;
using Cause = ResidencyAction::UnloadCause;
using std::chrono::milliseconds;

constexpr uint64_t kDeviceBytes = 24'000;
constexpr milliseconds kLongestHold{20'000};
constexpr milliseconds kLongestLoad{5'000};
constexpr milliseconds kLongestUnload{300};
constexpr milliseconds kLongestPoll{1'000};

}  // namespace

ResidencySimulator::ResidencySimulator(const Options& options)
    : options_(options),
      settings_{.device_id = "simulated",
                .memory = options.memory,
                .min_residence = milliseconds(3'000),
                .patience = milliseconds(10'000),
                .reading_lag = options.reading_lag,
                .low_water_bytes = options.has_pressure_marks ? kDeviceBytes / 20 : 0,
                .high_water_bytes = options.has_pressure_marks ? kDeviceBytes / 8 : 0},
      controller_(settings_),
      random_(options.seed) {
  for (int i = 0; i < options.n_models; ++i) {
    const std::string name = "m" + std::to_string(i);
    ModelDemand demand = {.name = name, .plan_bytes = 500 + Below(9'000), .file_version = 1};
    demand.priority = static_cast<int>(Below(3)) - 1;
    if (Below(4) == 0) demand.keep_alive = milliseconds(Below(2) * Below(20'000));
    models_[name].demand = demand;
  }
  history_.push_back({now_, 0, 0});
  Schedule(milliseconds(1), EventKind::kClient);
  Schedule(milliseconds(50), EventKind::kForeign);
  Schedule(milliseconds(500), EventKind::kMeddle);
}

std::string ResidencySimulator::Run(uint64_t n_steps) {
  for (uint64_t step = 0; step < n_steps && broken_.empty(); ++step) {
    const Event event = events_.top();
    events_.pop();
    if (controller_.is_paused()) paused_ += event.time - last_time_;
    last_time_ = now_ = event.time;
    Handle(event);
    for (const ResidencyAction& action : controller_.Decide(Read(), now_)) Follow(action);
    CheckBooks();
    if (step % 64 == 0) CheckWaits();
    if (next_wake_ <= now_) next_wake_ = ResidencyTime::max();
    if (const auto next = controller_.NextDecision(now_); next && *next < next_wake_) {
      next_wake_ = *next;
      Schedule(*next - now_, EventKind::kWake);
    }
  }
  return broken_;
}

uint64_t ResidencySimulator::Count(Kind kind) const {
  const auto found = counts_.find(kind);
  return found == counts_.end() ? 0 : found->second;
}

// Every model may go first, and each of them may have to wait for the leases of another.
milliseconds ResidencySimulator::wait_bound() const {
  const milliseconds one = settings_.patience + kLongestHold + settings_.min_residence +
                           kLongestLoad + kLongestUnload + 2 * settings_.reading_lag +
                           2 * kLongestPoll;
  return one * options_.n_models;
}

void ResidencySimulator::Schedule(milliseconds delay, EventKind kind, const std::string& model,
                                  TicketId ticket) {
  events_.push({now_ + std::max(delay, milliseconds(1)), n_events_++, kind, model, ticket});
}

void ResidencySimulator::Handle(const Event& event) {
  switch (event.kind) {
    case EventKind::kClient:
      ClientAsks();
      Schedule(milliseconds(1 + Below(800)), EventKind::kClient);
      break;
    case EventKind::kForeign:
      ChangeForeign();
      Schedule(milliseconds(1 + Below(4'000)), EventKind::kForeign);
      break;
    case EventKind::kMeddle:
      Meddle();
      Schedule(milliseconds(1 + Below(6'000)), EventKind::kMeddle);
      break;
    case EventKind::kAllocate:
      models_.at(event.model).allocated_bytes = models_.at(event.model).promised_bytes;
      break;
    case EventKind::kLoadEnded:
      EndLoad(event.model);
      break;
    case EventKind::kFree:
      models_.at(event.model).allocated_bytes = 0;
      break;
    case EventKind::kUnloadEnded:
      models_.at(event.model).promised_bytes = 0;
      controller_.UnloadEnded(event.model, now_);
      break;
    case EventKind::kRelease:
      Release(event.ticket);
      break;
    case EventKind::kWake:
      break;
  }
  history_.push_back({now_, own_bytes(), foreign_bytes_});
  while (history_.size() > 1 && history_[1].time <= now_ - options_.reading_lag)
    history_.pop_front();
}

void ResidencySimulator::ClientAsks() {
  const std::string model = AnyModel();
  const TicketId ticket = ++last_ticket_;
  const bool wants_lease = Below(5) != 0;
  tickets_[ticket] = {model, wants_lease, now_, paused_, Ticket::State::kWaiting};
  controller_.Request(ticket, models_.at(model).demand, wants_lease, now_);
  if (Below(6) == 0) Schedule(milliseconds(Below(30'000)), EventKind::kRelease, {}, ticket);
}

void ResidencySimulator::ChangeForeign() {
  const uint64_t most = kDeviceBytes / 2;
  const uint64_t change = Below(kDeviceBytes / 6);
  if (Below(2) == 0) {
    foreign_bytes_ = std::min({most, foreign_bytes_ + change, kDeviceBytes - own_bytes()});
  } else {
    foreign_bytes_ -= std::min(change, foreign_bytes_);
  }
}

void ResidencySimulator::Meddle() {
  const std::string model = AnyModel();
  SimulatedModel& simulated = models_.at(model);
  const uint64_t what = Below(10);
  if (what < 5) {
    const std::optional<ModelState> state = controller_.StateOf(model);
    const bool is_there = state == ModelState::kReady || state == ModelState::kLoading;
    if (is_there && controller_.Keep(model, {.pinned = what == 0}, now_).ok())
      simulated.is_pinned = what == 0;
  } else if (what == 5) {
    // Clears the leases, as the engine ends the turns of a model that is unloaded.
    if (controller_.Unload(model).ok()) {
      for (auto& [id, ticket] : tickets_)
        if (ticket.model == model && ticket.state == Ticket::State::kLeased)
          ticket.state = Ticket::State::kOver;
      simulated.n_leases = 0;
    }
  } else if (what == 6) {
    controller_.Yield();
  } else if (what < 9) {
    ++simulated.demand.file_version;
    if (simulated.promised_bytes == 0) simulated.demand.plan_bytes = 500 + Below(9'000);
  }
}

void ResidencySimulator::EndLoad(const std::string& model) {
  SimulatedModel& simulated = models_.at(model);
  const bool fails = Below(10) == 0;
  if (!fails) return controller_.LoadEnded(model, Status(), now_);
  ++n_failed_loads_;
  simulated.promised_bytes = simulated.allocated_bytes = 0;
  simulated.is_pinned = false;
  controller_.LoadEnded(model, Below(3) == 0 ? Cancelled("stopped") : Internal("it broke"), now_);
}

void ResidencySimulator::Release(TicketId id) {
  Ticket& ticket = tickets_.at(id);
  if (ticket.state == Ticket::State::kLeased) --models_.at(ticket.model).n_leases;
  ticket.state = Ticket::State::kOver;
  controller_.Withdraw(id, now_);
}

void ResidencySimulator::Follow(const ResidencyAction& action) {
  ++counts_[action.kind];
  Log(action);
  switch (action.kind) {
    case Kind::kStartLoad:
      return StartLoad(action);
    case Kind::kStartUnload:
      return StartUnload(action);
    case Kind::kWait:
      return;
    case Kind::kGrant:
    case Kind::kRefuse:
      break;
  }
  Ticket& ticket = tickets_.at(action.ticket);
  if (ticket.state != Ticket::State::kWaiting) return Break("a ticket was answered twice");
  longest_wait_ = std::max(longest_wait_, now_ - ticket.since - (paused_ - ticket.paused_since));
  ticket.state = Ticket::State::kOver;
  if (action.kind == Kind::kRefuse) return;
  if (models_.at(ticket.model).allocated_bytes == 0) return Break("granted what is not loaded");
  if (!ticket.wants_lease) return;
  ticket.state = Ticket::State::kLeased;
  ++models_.at(ticket.model).n_leases;
  Schedule(milliseconds(10 + Below(static_cast<uint64_t>(kLongestHold.count()) - 10)),
           EventKind::kRelease, {}, action.ticket);
}

void ResidencySimulator::StartLoad(const ResidencyAction& action) {
  SimulatedModel& simulated = models_.at(action.model);
  if (simulated.promised_bytes != 0) return Break("loads what holds memory");
  const uint64_t plan_bytes = controller_.bytes_promised();
  uint64_t own_promised = 0, own_allocated = 0;
  for (const auto& [name, model] : models_) {
    own_promised += model.promised_bytes;
    own_allocated += model.allocated_bytes;
  }
  for (const Resident& resident : controller_.Residents(now_))
    if (resident.name == action.model) simulated.promised_bytes = resident.bytes;
  if (own_promised + simulated.promised_bytes > plan_bytes) return Break("promised bytes are lost");
  // What is true, but for what other programs did within the lag of the reading.
  const uint64_t used = own_allocated + UsedAt(now_ - options_.reading_lag, true);
  const uint64_t free_bytes = kDeviceBytes - std::min(kDeviceBytes, used);
  const MemoryReading truth = {kDeviceBytes, free_bytes, free_bytes, free_bytes};
  const auto decision = DecideAdmission(settings_.memory, truth, own_promised, own_allocated,
                                        simulated.promised_bytes);
  if (!decision.admitted) return Break("a load beyond the policy's bound");
  if (controller_.is_paused()) return Break("a load under memory pressure");
  const milliseconds duration(20 + Below(static_cast<uint64_t>(kLongestLoad.count()) - 20));
  Schedule(duration / 2, EventKind::kAllocate, action.model);
  Schedule(duration, EventKind::kLoadEnded, action.model);
}

void ResidencySimulator::StartUnload(const ResidencyAction& action) {
  SimulatedModel& simulated = models_.at(action.model);
  if (action.cause == Cause::kEvicted) ++n_evictions_;
  if (simulated.allocated_bytes == 0) return Break("unloads what is not loaded");
  if (action.cause != Cause::kAsked && simulated.n_leases != 0)
    return Break("unloads what is leased");
  if (action.cause != Cause::kAsked && simulated.is_pinned) return Break("unloads what is pinned");
  simulated.is_pinned = false;
  const milliseconds duration(5 + Below(static_cast<uint64_t>(kLongestUnload.count()) - 5));
  Schedule(duration / 2, EventKind::kFree, action.model);
  Schedule(duration, EventKind::kUnloadEnded, action.model);
}

void ResidencySimulator::CheckBooks() {
  uint64_t promised = 0;
  for (const auto& [name, model] : models_) {
    promised += model.promised_bytes;
    if (controller_.n_leases(name) != model.n_leases)
      Break("leases of " + name + " are miscounted");
  }
  if (promised != controller_.bytes_promised()) Break("the ledger is not the sum of its parts");
}

void ResidencySimulator::CheckWaits() {
  for (auto ticket = tickets_.begin(); ticket != tickets_.end();) {
    const auto waited = now_ - ticket->second.since - (paused_ - ticket->second.paused_since);
    if (ticket->second.state == Ticket::State::kWaiting && waited > wait_bound())
      Break(fmt::format("ticket {} waits for {} since {} ms", ticket->first, ticket->second.model,
                        waited.count()));
    // Over, and no event of it is to come.
    const bool is_done = ticket->second.state == Ticket::State::kOver &&
                         waited > kLongestHold + wait_bound() + milliseconds(30'000);
    ticket = is_done ? tickets_.erase(ticket) : std::next(ticket);
  }
}

void ResidencySimulator::Break(const std::string& what) {
  if (broken_.empty()) broken_ = fmt::format("at {} ms: {}", now_.count(), what);
}

void ResidencySimulator::Log(const ResidencyAction& action) {
  const auto add = [this](uint64_t value) { log_hash_ = (log_hash_ ^ value) * 1099511628211u; };
  add(static_cast<uint64_t>(now_.count()));
  add(static_cast<uint64_t>(action.kind));
  add(action.ticket);
  add(action.position);
  for (const char c : action.model + action.reason) add(static_cast<uint8_t>(c));
}

uint64_t ResidencySimulator::own_bytes() const {
  uint64_t bytes = 0;
  for (const auto& [name, model] : models_) bytes += model.allocated_bytes;
  return bytes;
}

uint64_t ResidencySimulator::UsedAt(ResidencyTime time, bool foreign_only) const {
  const Usage* seen = &history_.front();
  for (const Usage& usage : history_)
    if (usage.time <= time) seen = &usage;
  return seen->foreign + (foreign_only ? 0 : seen->own);
}

// The runtime counts its own memory at once and no other; the driver counts all of it, late.
DeviceState ResidencySimulator::Read() const {
  const uint64_t own = own_bytes();
  const uint64_t used = UsedAt(now_ - options_.reading_lag, false);
  const uint64_t runtime_free = kDeviceBytes - own;
  const uint64_t driver_free = kDeviceBytes - std::min(kDeviceBytes, used);
  return {{kDeviceBytes, std::min(runtime_free, driver_free), runtime_free, driver_free}, own};
}

}  // namespace forge::testing
