#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <utility>

namespace forge {

// Counts calls of one kind and refuses those past a limit. Thread-safe.
class CallAdmission {
 public:
  // Lets one call in; gives its place back when destroyed. Move-only. Must not outlive the
  // CallAdmission.
  class [[nodiscard]] Ticket {
   public:
    Ticket(Ticket&& other) noexcept : owner_(std::exchange(other.owner_, nullptr)) {}
    Ticket& operator=(Ticket&&) = delete;
    ~Ticket() {
      if (owner_ != nullptr) owner_->count_.fetch_sub(1);
    }

   private:
    friend class CallAdmission;
    explicit Ticket(CallAdmission* owner) : owner_(owner) {}
    CallAdmission* owner_;
  };

  explicit CallAdmission(uint32_t limit) : limit_(limit) {}

  // nullopt when `limit` calls are in.
  std::optional<Ticket> TryAdmit() {
    uint32_t count = count_.load();
    do {
      if (count >= limit_) return std::nullopt;
    } while (!count_.compare_exchange_weak(count, count + 1));
    return Ticket(this);
  }

  uint32_t limit() const { return limit_; }
  uint32_t count() const { return count_.load(); }

 private:
  const uint32_t limit_;
  std::atomic<uint32_t> count_{0};
};

}  // namespace forge
