#pragma once

#include <span>
#include <string_view>
#include <utility>

#include "kernels/base/status.h"

namespace forge {

enum class ModelState { kOnDisk, kLoading, kReady, kUnloading, kFailed };
std::string_view ModelStateName(ModelState state);  // "on disk"

// The changes of state that exist.
std::span<const std::pair<ModelState, ModelState>> LegalTransitions();

// Holds the state of one model; Transition is its only writer. Not thread-safe.
class ModelLifecycle {
 public:
  ModelState state() const { return state_; }
  // kFailedPrecondition, state unchanged, unless {state(), to} is among LegalTransitions().
  Status Transition(ModelState to);

 private:
  ModelState state_ = ModelState::kOnDisk;
};

}  // namespace forge
