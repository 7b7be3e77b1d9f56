#include "engine/text/jinja/budget.h"

#include <utility>

namespace forge::jinja {
namespace {

constexpr uint64_t kBytesPerStep = 64;
constexpr uint64_t kStepsPerLook = 4096;  // at the clock

}  // namespace

Budget::Budget(const Limits& limits) : limits_(limits), deadline_(Clock::now() + limits.max_time) {}

bool Budget::Spend(uint64_t n_bytes) {
  if (exhausted()) return false;
  n_steps_ += 1 + n_bytes / kBytesPerStep;
  if (n_steps_ > limits_.max_steps) {
    Exhaust("it takes more than " + std::to_string(limits_.max_steps) + " steps");
  } else if (n_steps_ >= next_look_) {
    next_look_ = n_steps_ + kStepsPerLook;
    if (Clock::now() > deadline_)
      Exhaust("it takes more than " + std::to_string(limits_.max_time.count()) + " ms");
  }
  return !exhausted();
}

bool Budget::Allocate(uint64_t n_bytes) {
  if (exhausted()) return false;
  if (n_bytes > limits_.max_allocated_bytes - allocated_bytes_) {
    Exhaust("it builds more than " + std::to_string(limits_.max_allocated_bytes) +
            " bytes of values");
    return false;
  }
  allocated_bytes_ += n_bytes;
  return Spend(n_bytes);
}

void Budget::Exhaust(std::string what) {
  if (!exhausted()) what_ = std::move(what);
}

}  // namespace forge::jinja
