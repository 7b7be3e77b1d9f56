#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/runtime/engine.h"
#include "kernels/base/status.h"

// Who may stay on a device and who must go, as a pure function of numbers: no clock, no device, no
// lock. docs/residency.md states every rule with an example.
namespace forge {

// A model that holds memory of a device, as the policy sees it.
struct Resident {
  enum class Phase { kLoading, kReady, kUnloading };

  std::string name;
  uint64_t bytes = 0;  // promised to it; all of it comes back when it goes
  Phase phase = Phase::kReady;
  uint32_t n_leases = 0;    // requests in flight: from admission to the last token
  bool pinned = false;      // never evicted
  bool is_settled = true;   // resident for the minimum residence time already
  int priority = 0;         // a load never evicts a model of higher priority than its own
  double reload_cost = 1;   // seconds that loading it again takes, > 0
  double reuse_chance = 1;  // that it will be wanted again soon, in [0, 1]
};

// A model that is to be loaded.
struct WantedModel {
  std::string name;
  uint64_t plan_bytes = 0;
  int priority = 0;
};

// A device at one moment.
struct DeviceState {
  MemoryReading reading;
  uint64_t allocated_bytes = 0;  // by Forge, by the device's own count
};

// What to do about a wanted model, and every number that it depends on. All in bytes.
struct ResidencyDecision {
  enum class Kind {
    kAdmit,   // it fits as things are
    kEvict,   // it fits once `models` are gone, which all may go now
    kWait,    // it fits once `models` are gone, and some of them cannot go yet
    kRefuse,  // it does not fit whoever goes
  };
  enum class RefusalCause {
    kTooLarge,        // not even an empty device would do, as free memory is now
    kPinned,          // pinned models are in its way
    kOutprioritised,  // models of higher priority are in its way
  };

  Kind kind = Kind::kRefuse;
  RefusalCause cause = RefusalCause::kTooLarge;  // of kRefuse
  std::vector<std::string> models;               // sorted; of kEvict, kWait and such refusals
  AdmissionDecision admission;                   // as things are
  uint64_t evictable_bytes = 0;                  // idle, unpinned, settled, of no higher priority
  uint64_t available_with_eviction_bytes = 0;    // the largest plan if all of those went
  uint64_t available_alone_bytes = 0;            // the largest plan if every model went
  double eviction_cost =
      0;  // of `models`, for kEvict and kWait: reload_cost * reuse_chance, summed
};
std::string_view ResidencyDecisionName(ResidencyDecision::Kind kind);  // "admit"

// Candidates up to this many are searched exactly; beyond, by cost per byte.
inline constexpr size_t kExactCandidates = 16;

// Decides. The same inputs give the same decision, in whatever order the residents come. Of all
// sets of models that make enough room, the one is chosen whose most important member matters
// least (priority), then whose sum of reload_cost * reuse_chance is least, then the smallest, then
// the first by name. Memory that models being unloaded will give back is counted once, and first.
//
// REQUIRES: names are distinct, reload_cost > 0, memory.free_fraction is in (0, 1].
ResidencyDecision DecideResidency(const AdmissionPolicy& memory, const DeviceState& device,
                                  std::span<const Resident> residents, const WantedModel& wanted);

// A decision with everything that it was made of, so that it can be made again under other
// settings.
struct DecisionRecord {
  AdmissionPolicy memory;
  DeviceState device;
  std::vector<Resident> residents;
  WantedModel wanted;
  ResidencyDecision decision;
};
// Decides, and keeps what the decision was made of. REQUIRES: as DecideResidency.
DecisionRecord RecordDecision(const AdmissionPolicy& memory, const DeviceState& device,
                              std::vector<Resident> residents, WantedModel wanted);

// The models to free so that `needed_bytes` come back, for the sake of other programs: the cheapest
// set of idle, unpinned ones, settled or not, or all of those if they are not enough. Sorted.
std::vector<std::string> ChooseToFree(std::span<const Resident> residents, uint64_t needed_bytes);

// One sentence that says what was decided and why, with its numbers.
std::string ExplainDecision(const ResidencyDecision& decision, const WantedModel& wanted);

// A refusal as an error: kResourceExhausted (reason GPU_BUDGET_EXCEEDED) for kTooLarge and
// kOutprioritised, kFailedPrecondition (reason PINNED_MODELS_IN_THE_WAY) for kPinned, every number
// in the details. REQUIRES: decision.kind == kRefuse.
Status ResidencyRefusal(const ResidencyDecision& decision, const AdmissionPolicy& memory,
                        const WantedModel& wanted, std::string_view device_id);

}  // namespace forge
