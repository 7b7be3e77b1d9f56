#include "engine/memory/ledger.h"

#include <algorithm>
#include <utility>

#include "kernels/base/check.h"

namespace forge {

Reservation::Reservation(Reservation&& other) noexcept
    : ledger_(std::exchange(other.ledger_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}

Reservation& Reservation::operator=(Reservation&& other) noexcept {
  if (this == &other) return *this;
  if (ledger_ != nullptr) ledger_->Release(bytes_);
  ledger_ = std::exchange(other.ledger_, nullptr);
  bytes_ = std::exchange(other.bytes_, 0);
  return *this;
}

Reservation::~Reservation() {
  if (ledger_ != nullptr) ledger_->Release(bytes_);
}

Reservation Reservation::Split(uint64_t bytes) {
  FORGE_CHECK(bytes <= bytes_, "a claim cannot be split into more than it holds");
  bytes_ -= bytes;
  return Reservation(ledger_, bytes);
}

Ledger::Ledger(Device& device, AdmissionPolicy policy) : device_(device), policy_(policy) {
  FORGE_CHECK(policy_.free_fraction > 0.0 && policy_.free_fraction <= 1.0,
              "the fraction of free memory must be in (0, 1]");
}

Result<Reservation> Ledger::Admit(uint64_t plan_bytes) {
  if (plan_bytes == 0)
    return InvalidArgument("a claim on device memory needs a size: 0 bytes asked of device " +
                           device_.info().id);
  MutexLock lock(mutex_);
  FORGE_ASSIGN_OR_RETURN(const AdmissionDecision decision, Decide(plan_bytes));
  if (!decision.admitted) return RefusalStatus(decision, policy_, device_.info().id);
  reserved_bytes_ += plan_bytes;
  return Reservation(this, plan_bytes);
}

Result<AdmissionDecision> Ledger::Preview(uint64_t plan_bytes) const {
  MutexLock lock(mutex_);
  return Decide(plan_bytes);
}

// The device's count and its free memory are two readings, and other threads allocate and free
// between them, so the count is read on both sides. Where it keeps changing the lower one is taken:
// it takes more bytes for promised ones, and never counts a byte as free twice.
Result<AdmissionDecision> Ledger::Decide(uint64_t plan_bytes) const {
  constexpr int kAttempts = 4;
  for (int attempt = 1;; ++attempt) {
    const uint64_t before_bytes = device_.allocation_count().bytes;
    FORGE_ASSIGN_OR_RETURN(const MemoryReading reading, device_.ReadMemory());
    const uint64_t after_bytes = device_.allocation_count().bytes;
    if (before_bytes != after_bytes && attempt < kAttempts) continue;
    return DecideAdmission(policy_, reading, reserved_bytes_, std::min(before_bytes, after_bytes),
                           plan_bytes);
  }
}

uint64_t Ledger::reserved_bytes() const {
  MutexLock lock(mutex_);
  return reserved_bytes_;
}

void Ledger::Release(uint64_t bytes) {
  MutexLock lock(mutex_);
  FORGE_CHECK(bytes <= reserved_bytes_, "more bytes given back than were claimed");
  reserved_bytes_ -= bytes;
}

}  // namespace forge
