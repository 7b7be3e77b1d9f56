#pragma once

#include <cstdint>

#include "engine/memory/admission.h"
#include "kernels/api/device.h"
#include "kernels/base/mutex.h"
#include "kernels/base/result.h"

namespace forge {

class Ledger;

// Move-only claim on bytes of a Ledger; gives them back when destroyed. Must not outlive the
// Ledger.
class [[nodiscard]] Reservation {
 public:
  Reservation() = default;  // claims nothing
  Reservation(Reservation&& other) noexcept;
  Reservation& operator=(Reservation&& other) noexcept;
  ~Reservation();

  uint64_t bytes() const { return bytes_; }
  // Splits `bytes` off into a claim of its own. REQUIRES: bytes <= this->bytes().
  Reservation Split(uint64_t bytes);

 private:
  friend class Ledger;
  Reservation(Ledger* ledger, uint64_t bytes) : ledger_(ledger), bytes_(bytes) {}
  Ledger* ledger_ = nullptr;
  uint64_t bytes_ = 0;
};

// Counts the bytes promised to models on one device and decides what more may be promised;
// allocates nothing.
//
// Invariant: reserved_bytes() is the sum of all live Reservations. Thread-safe: two admissions
// never see the same free bytes.
class Ledger {
 public:
  // Lifetime: `device` must outlive the ledger. REQUIRES: policy.free_fraction is in (0, 1].
  Ledger(Device& device, AdmissionPolicy policy);

  // Tests one whole plan against the policy and a fresh reading of the device, and claims it.
  // kResourceExhausted (reason GPU_BUDGET_EXCEEDED) with every number if it does not fit; then
  // nothing changes. kInvalidArgument for 0 bytes; what the device says if it cannot be read.
  Result<Reservation> Admit(uint64_t plan_bytes);
  // The decision that Admit would take now, without taking it.
  Result<AdmissionDecision> Preview(uint64_t plan_bytes) const;

  uint64_t reserved_bytes() const;
  const AdmissionPolicy& policy() const { return policy_; }
  Device& device() const { return device_; }

 private:
  friend class Reservation;
  Result<AdmissionDecision> Decide(uint64_t plan_bytes) const FORGE_REQUIRES(mutex_);
  void Release(uint64_t bytes);

  // Constant after construction.
  Device& device_;
  const AdmissionPolicy policy_;

  mutable Mutex mutex_;
  uint64_t reserved_bytes_ FORGE_GUARDED_BY(mutex_) = 0;
};

}  // namespace forge
