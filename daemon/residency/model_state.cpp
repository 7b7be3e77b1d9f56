#include "daemon/residency/model_state.h"

#include <fmt/format.h>

#include <algorithm>

namespace forge {
namespace {

using enum ModelState;
constexpr std::pair<ModelState, ModelState> kLegal[] = {
    {kOnDisk, kLoading}, {kLoading, kReady},   {kLoading, kFailed},
    {kLoading, kOnDisk},  // cancelled
    {kFailed, kLoading}, {kReady, kUnloading}, {kUnloading, kOnDisk},
};

}  // namespace

std::string_view ModelStateName(ModelState state) {
  constexpr std::string_view kNames[] = {"on disk", "loading", "ready", "unloading", "failed"};
  return kNames[static_cast<int>(state)];
}

std::span<const std::pair<ModelState, ModelState>> LegalTransitions() { return kLegal; }

Status ModelLifecycle::Transition(ModelState to) {
  if (std::find(std::begin(kLegal), std::end(kLegal), std::pair(state_, to)) == std::end(kLegal)) {
    return FailedPrecondition(fmt::format("a model that is {} cannot become {}",
                                          ModelStateName(state_), ModelStateName(to)));
  }
  state_ = to;
  return Status();
}

}  // namespace forge
