#include "engine/memory/admission.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "kernels/base/byte_text.h"
#include "kernels/base/check.h"

namespace forge {
namespace {

// Wide enough for the product of a 64-bit amount and a fraction, and for sums of amounts.
__extension__ using Wide = unsigned __int128;

constexpr uint64_t kFractionUnits = 1'000'000'000;  // nine decimal places

// floor(fraction * amount). Fixed point, because the double 0.70 is a little less than 7/10 and
// would take a byte from every round amount.
Wide FractionOf(double fraction, Wide amount) {
  const auto units = static_cast<uint64_t>(std::llround(fraction * double{kFractionUnits}));
  return amount * units / kFractionUnits;
}

// max(0, a - b), at most 2^64 - 1.
uint64_t Less(Wide a, Wide b) {
  if (a <= b) return 0;
  return static_cast<uint64_t>(std::min<Wide>(a - b, std::numeric_limits<uint64_t>::max()));
}

struct Room {
  AdmissionBound bound;
  uint64_t bytes;  // the largest plan that the bound admits
};

// What the policy's own rule leaves. `free` is effective: promised bytes are not part of it.
Room PolicyRoom(const AdmissionPolicy& policy, uint64_t free, uint64_t own) {
  if (policy.kind == AdmissionPolicy::Kind::kIncremental)
    return {AdmissionBound::kIncremental,
            Less(FractionOf(policy.free_fraction, free), policy.reserve_bytes)};
  const Wide budget = FractionOf(policy.free_fraction, Wide{free} + own);
  return {AdmissionBound::kShare, Less(budget, Wide{policy.reserve_bytes} + own)};
}

std::string_view PolicyName(AdmissionPolicy::Kind kind) {
  return kind == AdmissionPolicy::Kind::kShare ? "share" : "incremental";
}

std::string FractionText(double fraction) {
  std::string text = std::to_string(fraction);
  text.erase(std::max(text.find_last_not_of('0') + 1, text.find('.') + 2));
  return text;
}

// The bound as a formula with its numbers.
std::string BoundText(const AdmissionDecision& decision, const AdmissionPolicy& policy) {
  const std::string free = ByteText(decision.free_bytes) + " free";
  const std::string own = ByteText(decision.own_bytes) + " own";
  const std::string reserve =
      policy.reserve_bytes == 0 ? "" : " - " + ByteText(policy.reserve_bytes) + " reserve";
  const std::string fraction = FractionText(policy.free_fraction);
  switch (decision.bound) {
    case AdmissionBound::kShare:
      return fraction + " * (" + free + " + " + own + ") - " + own + reserve;
    case AdmissionBound::kIncremental:
      return fraction + " * " + free + reserve;
    case AdmissionBound::kCap:
      return ByteText(policy.cap_bytes.value_or(0)) + " cap - " + own;
    case AdmissionBound::kFree:
      return free + reserve;
  }
  FORGE_CHECK(false, "unknown admission bound");
}

}  // namespace

std::string_view AdmissionBoundName(AdmissionBound bound) {
  switch (bound) {
    case AdmissionBound::kShare:
      return "share";
    case AdmissionBound::kIncremental:
      return "incremental";
    case AdmissionBound::kCap:
      return "cap";
    case AdmissionBound::kFree:
      return "free";
  }
  FORGE_CHECK(false, "unknown admission bound");
}

AdmissionDecision DecideAdmission(const AdmissionPolicy& policy, const MemoryReading& reading,
                                  uint64_t own_reserved_bytes, uint64_t own_allocated_bytes,
                                  uint64_t plan_bytes) {
  FORGE_CHECK(policy.free_fraction > 0.0 && policy.free_fraction <= 1.0,
              "the fraction of free memory must be in (0, 1]");
  const uint64_t promised = Less(own_reserved_bytes, own_allocated_bytes);
  const uint64_t free = Less(reading.free_bytes, promised);

  Room tightest = {AdmissionBound::kFree, Less(free, policy.reserve_bytes)};
  const auto consider = [&tightest](Room room) {
    if (room.bytes < tightest.bytes) tightest = room;
  };
  if (policy.cap_bytes)
    consider({AdmissionBound::kCap, Less(*policy.cap_bytes, own_reserved_bytes)});
  consider(PolicyRoom(policy, free, own_reserved_bytes));

  return {.admitted = plan_bytes <= tightest.bytes,
          .bound = tightest.bound,
          .requested_bytes = plan_bytes,
          .available_bytes = tightest.bytes,
          .own_bytes = own_reserved_bytes,
          .free_bytes = free,
          .total_bytes = reading.total_bytes};
}

Status RefusalStatus(const AdmissionDecision& decision, const AdmissionPolicy& policy,
                     std::string_view device_id) {
  FORGE_CHECK(!decision.admitted, "an admitted plan is no refusal");
  const std::string advice = decision.own_bytes == 0
                                 ? "load it with a shorter context or fewer sequences"
                                 : "unload another model, or load this one with a shorter context "
                                   "or fewer sequences";
  Status status =
      ResourceExhausted("the model does not fit the memory budget of device " +
                        std::string(device_id) + ": needs " + ByteText(decision.requested_bytes) +
                        ", " + ByteText(decision.available_bytes) + " are available under bound " +
                        std::string(AdmissionBoundName(decision.bound)) + " (" +
                        BoundText(decision, policy) + "), device total " +
                        ByteText(decision.total_bytes) + "; " + advice)
          .WithReason("GPU_BUDGET_EXCEEDED")
          .WithDetail("device", device_id)
          .WithDetail("requestedBytes", decision.requested_bytes)
          .WithDetail("availableBytes", decision.available_bytes)
          .WithDetail("ownBytes", decision.own_bytes)
          .WithDetail("freeBytes", decision.free_bytes)
          .WithDetail("totalBytes", decision.total_bytes)
          .WithDetail("bound", AdmissionBoundName(decision.bound))
          .WithDetail("policy", PolicyName(policy.kind))
          .WithDetail("freeFraction", std::string_view(FractionText(policy.free_fraction)))
          .WithDetail("reserveBytes", policy.reserve_bytes);
  if (policy.cap_bytes) status = status.WithDetail("capBytes", *policy.cap_bytes);
  return status;
}

}  // namespace forge
