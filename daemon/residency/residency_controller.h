#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "daemon/residency/cooldown.h"
#include "daemon/residency/model_state.h"
#include "daemon/residency/residency_policy.h"
#include "kernels/base/status.h"

namespace forge {

// Time on a clock that never goes back, from any start.
using ResidencyTime = std::chrono::milliseconds;

// A request for a model, and the lease it becomes. Never reused.
using TicketId = uint64_t;

struct ResidencySettings {
  std::string device_id = {};  // for messages
  AdmissionPolicy memory = {};
  // A model stays at least this long once it is ready, so that two that do not fit together are
  // not loaded in turn for every request.
  std::chrono::milliseconds min_residence{10'000};
  // A model that waited this long goes before all priorities, and makes the models that it waits
  // for take no new requests.
  std::chrono::milliseconds patience{30'000};
  // How late the device's reading of free memory may show what was allocated or freed.
  std::chrono::milliseconds reading_lag{0};
  // How long a use counts half of what it did for the chance of reuse.
  std::chrono::milliseconds reuse_half_life{600'000};
  // Idle models go after this; nullopt: they stay until their memory is wanted.
  std::optional<std::chrono::milliseconds> keep_alive = {};
  // After a failed load, doubled with each further failure.
  std::chrono::milliseconds first_cooldown{10'000};
  std::chrono::milliseconds longest_cooldown{300'000};
  // Below `low` free bytes of the device idle models go and nothing is loaded, until `high` are
  // free again. 0: off. REQUIRES: low <= high.
  uint64_t low_water_bytes = 0;
  uint64_t high_water_bytes = 0;
};

// A model as whoever wants it describes it.
struct ModelDemand {
  std::string name;
  uint64_t plan_bytes = 0;
  uint64_t file_version = 0;  // another one when the file changed, which ends a cool-down
  int priority = 0;
  bool pinned = false;
  std::optional<std::chrono::milliseconds> keep_alive = {};  // nullopt: as the settings say
  bool ignores_cooldown = false;                             // a person asked for it
};

// How a model that is loading or ready is kept.
struct ModelKeeping {
  bool pinned = false;
  int priority = 0;
  std::optional<std::chrono::milliseconds> keep_alive;  // nullopt: until its memory is wanted
  // When it goes if nobody uses it before; nullopt: it is in use, or stays.
  std::optional<ResidencyTime> end;
};

// What is to change of it; nullopt leaves it as it is.
struct KeepingChange {
  std::optional<bool> pinned = {};
  std::optional<int> priority = {};
  std::optional<std::chrono::milliseconds> keep_alive = {};
  bool is_use = false;  // its keep_alive counts from now, as after a lease
};

// Something that whoever drives a ResidencyController has to do.
struct ResidencyAction {
  enum class Kind {
    kStartLoad,    // then report LoadEnded
    kStartUnload,  // then report UnloadEnded
    kGrant,        // the model of `ticket` is ready; a lease, if one was wanted, has begun
    kRefuse,       // `ticket` ends with `status`
    kWait,         // `ticket` waits, at `position`, because of `reason`
  };
  enum class UnloadCause { kEvicted, kKeepAlive, kPressure, kYield, kAsked };

  Kind kind = Kind::kWait;
  std::string model = {};
  TicketId ticket = 0;
  UnloadCause cause = UnloadCause::kEvicted;  // of kStartUnload
  uint32_t position = 0;                      // of kWait; 0: next
  Status status = {};                         // of kRefuse
  std::string reason = {};                    // a sentence with its numbers
  // Of what the policy decided about the wanted model; null where something else did.
  std::shared_ptr<const DecisionRecord> decision = nullptr;
};
using ResidencyActions = std::vector<ResidencyAction>;

// Keeps the books of one device: which models are resident or on their way, who holds a lease, who
// waits. Decides; does nothing itself, reads no clock and no device, and so can be run by a
// simulator as well as by the daemon.
//
// Requests for a ready model are granted at once, whatever waits. Models that are not resident are
// loaded in the order of priority, then of their oldest request, and all requests for one model
// are served together. The first that has to wait holds back those behind it, or small models
// would pass a large one for ever.
//
// Invariant: bytes_promised() is the sum of the plans of all models that are loading, ready or
// being unloaded. Invariant: no action unloads a model with leases, but for Unload by name.
// A call that throws std::bad_alloc has changed nothing. Not thread-safe.
class ResidencyController {
 public:
  // REQUIRES: settings are as ResidencySettings says.
  explicit ResidencyController(ResidencySettings settings) : settings_(std::move(settings)) {}

  // --- What happened. Nothing is decided before Decide.
  // A new request. `wants_lease`: hold the model until Withdraw; else it only has to be ready. The
  // first demand counts for as long as the model is resident or waited for; a later one can only
  // raise its priority, and that only if it wants no lease.
  void Request(TicketId ticket, const ModelDemand& demand, bool wants_lease, ResidencyTime now) {
    AllOrNothing([&](auto& changed) { changed.DoRequest(ticket, demand, wants_lease, now); });
  }
  // A request is given up, or its lease ends. No effect if it is neither. Does not throw.
  void Withdraw(TicketId ticket, ResidencyTime now);
  // A load that was started ended, with kCancelled if somebody stopped it.
  // REQUIRES: the model is loading.
  void LoadEnded(const std::string& model, const Status& status, ResidencyTime now) {
    AllOrNothing([&](auto& changed) { changed.DoLoadEnded(model, status, now); });
  }
  // REQUIRES: the model is being unloaded.
  void UnloadEnded(const std::string& model, ResidencyTime now) {
    AllOrNothing([&](auto& changed) { changed.DoUnloadEnded(model, now); });
  }
  // Changes how a model is kept. A keep_alive counts from now, and as after a load 0 lasts until
  // the first use. kFailedPrecondition (reason MODEL_NOT_LOADED) if it is neither ready, loading
  // nor waited for.
  Status Keep(const std::string& model, const KeepingChange& change, ResidencyTime now);
  // Unloads now, whoever holds a lease. kFailedPrecondition (reason MODEL_NOT_LOADED) unless ready.
  Status Unload(const std::string& model);
  // Every idle, unpinned model is to go.
  void Yield() { yield_ = true; }

  // --- What to do now.
  ResidencyActions Decide(const DeviceState& device, ResidencyTime now) {
    ResidencyActions actions;
    AllOrNothing([&](auto& changed) { actions = changed.DoDecide(device, now); });
    return actions;
  }
  // When to call Decide again if nothing happens before; nullopt: never.
  std::optional<ResidencyTime> NextDecision(ResidencyTime now) const;
  // What would be done about a model if nobody waited, without doing it.
  DecisionRecord Preview(const DeviceState& device, const WantedModel& wanted,
                         ResidencyTime now) const;

  // --- The books.
  uint64_t bytes_promised() const;
  std::optional<ModelState> StateOf(const std::string& model) const;
  // nullopt if the model is neither in memory nor wanted.
  std::optional<ModelKeeping> KeepingOf(const std::string& model) const;
  size_t n_leases(const std::string& model) const;
  size_t n_waiting() const { return waiting_.size(); }
  bool is_paused() const { return is_paused_; }  // by memory pressure
  // Models that hold memory, and memory of former ones that may not show as free yet.
  std::vector<Resident> Residents(ResidencyTime now) const;

 private:
  struct Entry {
    ModelDemand demand;
    ModelLifecycle lifecycle;
    std::set<TicketId> leases;
    bool is_closing = false;  // takes no new lease: another model waited too long for it
    bool unload_asked = false;
    bool was_leased = false;
    ResidencyTime ready_since{0}, idle_since{0}, load_start{0};
    double load_seconds = 1.0;
    double usage = 0.0;  // leases, each counting half after reuse_half_life
    ResidencyTime usage_time{0};
    Cooldown cooldown;  // while kFailed

    ModelState state() const { return lifecycle.state(); }
    bool holds_memory() const;
    // It goes when its keep_alive is over, or with Yield.
    bool may_retire() const {
      return state() == ModelState::kReady && leases.empty() && !demand.pinned;
    }
  };
  // Memory that was freed; the device's reading shows it by `until`.
  struct Returning {
    std::string model;
    uint64_t bytes;
    ResidencyTime until;
  };
  struct Waiting {
    TicketId ticket;
    std::string model;
    bool wants_lease;
    ResidencyTime since;
    std::optional<uint32_t> told_position;
  };

  // Does `change` to a copy, which then takes the place of this: the books are small, and a change
  // that were left half done would never be mended.
  template <typename Change>
  void AllOrNothing(const Change& change) {
    ResidencyController changed = *this;
    change(changed);
    static_assert(std::is_nothrow_move_assignable_v<ResidencyController>);
    *this = std::move(changed);
  }
  void DoRequest(TicketId ticket, const ModelDemand& demand, bool wants_lease, ResidencyTime now);
  void DoLoadEnded(const std::string& model, const Status& status, ResidencyTime now);
  void DoUnloadEnded(const std::string& model, ResidencyTime now);
  ResidencyActions DoDecide(const DeviceState& device, ResidencyTime now);

  Entry& At(const std::string& model);
  void SetState(Entry& entry, ModelState state);
  void CountUse(Entry& entry, ResidencyTime now);
  double UsageAt(const Entry& entry, ResidencyTime now) const;
  void ForgetUnwanted(ResidencyTime now);
  bool IsWanted(const std::string& model) const;
  std::optional<std::chrono::milliseconds> KeepAliveOf(const Entry& entry) const {
    return entry.demand.keep_alive ? entry.demand.keep_alive : settings_.keep_alive;
  }
  std::optional<ResidencyTime> KeepAliveEnd(const Entry& entry) const;

  void GrantReady(ResidencyTime now, ResidencyActions& actions);
  void RetireIdle(ResidencyTime now, ResidencyActions& actions);
  void RelievePressure(const DeviceState& device, ResidencyTime now, ResidencyActions& actions);
  void PlaceWaiting(const DeviceState& device, ResidencyTime now, ResidencyActions& actions);
  // True if the models behind may be looked at.
  bool Place(const std::string& model, const DeviceState& device, ResidencyTime now,
             ResidencyActions& actions);
  // Models that `model` waits for take no new leases from now on.
  void CloseFor(const std::string& model, const std::vector<std::string>& in_the_way);
  void StartUnload(const std::string& model, ResidencyAction::UnloadCause cause, std::string reason,
                   ResidencyActions& actions,
                   std::shared_ptr<const DecisionRecord> decision = nullptr);
  void RefuseAll(const std::string& model, const Status& status, ResidencyActions& actions,
                 const std::shared_ptr<const DecisionRecord>& decision = nullptr);
  void TellPositions(ResidencyTime now, ResidencyActions& actions);
  // Models that requests wait for, in the order in which they are loaded.
  std::vector<std::string> LoadOrder(ResidencyTime now) const;
  // `device`, with what its reading does not show yet taken into account.
  DeviceState Corrected(const DeviceState& device, ResidencyTime now) const;
  // True if a plan that does not fit by `device` may fit once its reading shows what was allocated
  // and freed a moment ago.
  bool MayFitLater(const DeviceState& device, uint64_t plan_bytes, ResidencyTime now) const;
  ResidencyTime OldestRequest(const std::string& model) const;

  ResidencySettings settings_;  // constant after construction

  std::map<std::string, Entry> entries_;
  std::deque<Waiting> waiting_;             // in order of arrival
  std::map<TicketId, std::string> leases_;  // model of each
  std::vector<Returning> returning_;
  ResidencyActions pending_;  // refusals that events caused, for the next Decide
  std::string closed_for_;    // the model that others are closing for; empty: none
  std::string wait_reason_;
  std::shared_ptr<const DecisionRecord> wait_decision_;  // behind wait_reason_, if it was one
  bool is_paused_ = false;
  bool yield_ = false;
};

}  // namespace forge
