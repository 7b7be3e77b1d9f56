#pragma once

#include <chrono>
#include <memory>
#include <vector>

#include "kernels/base/mutex.h"
#include "kernels/base/status.h"

namespace forge {

// What the registry does to a running call that uses the engine. Thread-safe.
class RegisteredCall {
 public:
  virtual ~RegisteredCall() = default;
  // Lets what runs end and takes nothing further.
  virtual void BeginDrain() = 0;
  // Ends the call with `status` at once.
  virtual void Abort(const Status& status) = 0;
  // Ends what has passed its deadline or waits for a client that takes nothing.
  virtual void Sweep(std::chrono::steady_clock::time_point now) = 0;
};

// Knows the calls that use the engine or hold a place for streams, so that time and shutdown can
// end them. Thread-safe.
class CallRegistry {
 public:
  // False once draining began: the call must be refused.
  bool Add(std::weak_ptr<RegisteredCall> call);

  // To be called several times a second.
  void Sweep(std::chrono::steady_clock::time_point now);
  void BeginDrain();
  bool draining() const;
  void AbortAll(const Status& status);
  // True when no call is left.
  bool empty();

 private:
  // The calls that are alive; forgets the others.
  std::vector<std::shared_ptr<RegisteredCall>> Alive();

  mutable Mutex mutex_;
  std::vector<std::weak_ptr<RegisteredCall>> calls_ FORGE_GUARDED_BY(mutex_);
  bool draining_ FORGE_GUARDED_BY(mutex_) = false;
};

}  // namespace forge
