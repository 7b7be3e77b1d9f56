#include "daemon/rpc/call_registry.h"

#include <algorithm>

#include "kernels/base/exceptions.h"

namespace forge {

bool CallRegistry::Add(std::weak_ptr<RegisteredCall> call) {
  const MutexLock lock(mutex_);
  if (draining_) return false;
  calls_.push_back(std::move(call));
  return true;
}

void CallRegistry::Sweep(std::chrono::steady_clock::time_point now) {
  for (const auto& call : Alive())
    Contain([&] { call->Sweep(now); }, [&](const Status& status) { call->Abort(status); });
}

void CallRegistry::BeginDrain() {
  {
    const MutexLock lock(mutex_);
    draining_ = true;
  }
  for (const auto& call : Alive())
    Contain([&] { call->BeginDrain(); }, [&](const Status& status) { call->Abort(status); });
}

bool CallRegistry::draining() const {
  const MutexLock lock(mutex_);
  return draining_;
}

void CallRegistry::AbortAll(const Status& status) {
  for (const auto& call : Alive()) UntilMemory([&] { call->Abort(status); });
}

bool CallRegistry::empty() { return Alive().empty(); }

std::vector<std::shared_ptr<RegisteredCall>> CallRegistry::Alive() {
  std::vector<std::shared_ptr<RegisteredCall>> alive;
  const MutexLock lock(mutex_);
  for (const auto& call : calls_) {
    if (auto strong = call.lock()) alive.push_back(std::move(strong));
  }
  calls_.erase(
      std::remove_if(calls_.begin(), calls_.end(), [](const auto& call) { return call.expired(); }),
      calls_.end());
  return alive;
}

}  // namespace forge
