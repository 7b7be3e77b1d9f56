#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "engine/text/jinja/limits.h"
#include "kernels/base/status.h"

namespace forge::jinja {

// Counts what one rendering uses up. Once something is used up it stays so, every further claim is
// refused, and the rendering ends at its next step; so whoever works in bulk claims first and may
// stop silently when refused. Not thread-safe.
class Budget {
 public:
  explicit Budget(const Limits& limits);

  // Claims a unit of work that reads `n_bytes`, or as many elements. False if none is left.
  bool Spend(uint64_t n_bytes);
  // Claims memory. False if none is left; then it must not be allocated.
  bool Allocate(uint64_t n_bytes);
  // Notes that something else ran out.
  void Exhaust(std::string what);

  bool exhausted() const { return !what_.empty(); }
  // "it takes more than 5000000 steps"; empty unless exhausted().
  const std::string& what() const { return what_; }
  const Limits& limits() const { return limits_; }

 private:
  using Clock = std::chrono::steady_clock;

  const Limits limits_;
  const Clock::time_point deadline_;
  uint64_t n_steps_ = 0;
  uint64_t next_look_ = 0;  // at the clock, in steps
  uint64_t allocated_bytes_ = 0;
  std::string what_;
};

}  // namespace forge::jinja
