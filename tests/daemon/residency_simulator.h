#pragma once

#include <cstdint>
#include <map>
#include <queue>
#include <random>
#include <string>
#include <vector>

#include "daemon/residency/residency_controller.h"

namespace forge::testing {

// Runs a ResidencyController in a simulated world: a device whose memory other programs take and
// give back, readings that lag, loads that take time and fail, clients that ask, hold, leave and
// meddle. A seed decides everything, the clock included. Checks the controller's promises after
// every step and stops at the first that is broken.
class ResidencySimulator {
 public:
  struct Options {
    uint64_t seed = 1;
    AdmissionPolicy memory = {};
    std::chrono::milliseconds reading_lag{0};
    bool has_pressure_marks = false;
    int n_models = 12;
  };
  explicit ResidencySimulator(const Options& options);

  // Handles `n_steps` events. Returns what was broken first, or an empty string.
  std::string Run(uint64_t n_steps);

  uint64_t log_hash() const { return log_hash_; }
  uint64_t Count(ResidencyAction::Kind kind) const;
  uint64_t n_evictions() const { return n_evictions_; }
  uint64_t n_failed_loads() const { return n_failed_loads_; }
  std::chrono::milliseconds longest_wait() const { return longest_wait_; }
  std::chrono::milliseconds wait_bound() const;

 private:
  enum class EventKind {
    kClient,   // a client asks for something
    kForeign,  // other programs take or give back memory
    kAllocate,
    kLoadEnded,
    kFree,
    kUnloadEnded,
    kRelease,  // a lease ends, or a client stops waiting
    kMeddle,   // pins, unpins, unloads, yields, changed files
    kWake,     // the controller asked to be called
  };
  struct Event {
    ResidencyTime time;
    uint64_t number;  // makes the order of equal times certain
    EventKind kind;
    std::string model;
    TicketId ticket;

    bool operator>(const Event& other) const {
      return std::tie(time, number) > std::tie(other.time, other.number);
    }
  };
  struct SimulatedModel {
    ModelDemand demand;
    uint64_t promised_bytes = 0;  // what a load was started with
    uint64_t allocated_bytes = 0;
    bool is_pinned = false;
    uint32_t n_leases = 0;
  };
  struct Ticket {
    std::string model;
    bool wants_lease;
    ResidencyTime since;
    ResidencyTime paused_since;  // length of all pauses before it came
    enum class State { kWaiting, kLeased, kOver } state = State::kWaiting;
  };

  void Schedule(std::chrono::milliseconds delay, EventKind kind, const std::string& model = {},
                TicketId ticket = 0);
  void Handle(const Event& event);
  void ClientAsks();
  void ChangeForeign();
  void Meddle();
  void EndLoad(const std::string& model);
  void Release(TicketId ticket);
  void Follow(const ResidencyAction& action);
  void StartLoad(const ResidencyAction& action);
  void StartUnload(const ResidencyAction& action);
  void CheckBooks();
  void CheckWaits();
  void Break(const std::string& what);
  void Log(const ResidencyAction& action);

  uint64_t own_bytes() const;
  uint64_t UsedAt(ResidencyTime time, bool foreign_only) const;
  DeviceState Read() const;
  uint64_t Below(uint64_t n) { return random_() % n; }
  std::string AnyModel() { return "m" + std::to_string(Below(models_.size())); }

  struct Usage {
    ResidencyTime time;
    uint64_t own, foreign;
  };

  const Options options_;
  ResidencySettings settings_;
  ResidencyController controller_;
  std::mt19937_64 random_;
  ResidencyTime now_{0};
  uint64_t n_events_ = 0;
  std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
  std::map<std::string, SimulatedModel> models_;
  std::map<TicketId, Ticket> tickets_;
  std::deque<Usage> history_;  // back to reading_lag
  TicketId last_ticket_ = 0;
  uint64_t foreign_bytes_ = 0;
  std::chrono::milliseconds paused_{0}, longest_wait_{0};
  ResidencyTime last_time_{0}, next_wake_ = ResidencyTime::max();
  std::map<ResidencyAction::Kind, uint64_t> counts_;
  uint64_t n_evictions_ = 0, n_failed_loads_ = 0;
  uint64_t log_hash_ = 14695981039346656037u;  // FNV-1a
  std::string broken_;
};

}  // namespace forge::testing
