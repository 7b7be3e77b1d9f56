#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "kernels/api/device.h"
#include "kernels/base/result.h"

namespace forge {

// How much of a device's memory models may take. docs/memory-policy.md explains the choice.
struct AdmissionPolicy {
  enum class Kind {
    kShare,        // own + plan <= fraction * (free + own) - reserve: the margin never erodes
    kIncremental,  // plan <= fraction * free - reserve: the literal rule, load by load
  };
  Kind kind = Kind::kShare;
  double free_fraction = 0.70;                       // in (0, 1], taken to nine decimal places
  uint64_t reserve_bytes = 0;                        // always left to others
  std::optional<uint64_t> cap_bytes = std::nullopt;  // absolute limit of all models together
};

// The limit that decided, or that came closest to it. kFree: what is free, less the reserve; it is
// named where it is as tight as another bound, and so says that no policy would help.
enum class AdmissionBound { kShare, kIncremental, kCap, kFree };
std::string_view AdmissionBoundName(AdmissionBound bound);  // "share"

// Says whether a plan fits, with every number that the answer depends on. All in bytes.
struct AdmissionDecision {
  bool admitted = false;
  AdmissionBound bound = AdmissionBound::kShare;  // the tightest of all bounds
  uint64_t requested_bytes = 0;                   // the plan
  uint64_t available_bytes = 0;                   // the largest plan that would have been admitted
  uint64_t own_bytes = 0;                         // promised to models already
  uint64_t free_bytes = 0;   // the device's reading less what is promised but not yet allocated
  uint64_t total_bytes = 0;  // of the device
};

// Decides about one whole plan. Pure: the same inputs give the same decision. Exact integer
// arithmetic; the fraction of an amount is rounded down to whole bytes, and no input overflows.
//
// Invariant: admitted is the same as plan_bytes <= available_bytes.
// REQUIRES: policy.free_fraction is in (0, 1].
//   own_reserved_bytes: promised to models, allocated or not
//   own_allocated_bytes: of these, already allocated, hence missing from the reading's free memory
AdmissionDecision DecideAdmission(const AdmissionPolicy& policy, const MemoryReading& reading,
                                  uint64_t own_reserved_bytes, uint64_t own_allocated_bytes,
                                  uint64_t plan_bytes);

// The refusal as an error: kResourceExhausted, reason GPU_BUDGET_EXCEEDED, every number of
// `decision` in the message, rounded, and in the details. REQUIRES: !decision.admitted.
Status RefusalStatus(const AdmissionDecision& decision, const AdmissionPolicy& policy,
                     std::string_view device_id);

}  // namespace forge
