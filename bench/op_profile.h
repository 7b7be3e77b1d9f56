#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "kernels/api/device.h"
#include "kernels/base/mutex.h"

namespace forge {

// What one kind of op took, all calls together.
struct OpRecord {
  std::string name;  // "attention"; "matmul Q4_K 2048 -> 8192" by format, columns and rows
  uint64_t n_calls = 0;
  double seconds = 0;
  uint64_t bytes = 0;       // read from weights or cache, 0 where not counted
  uint64_t operations = 0;  // multiplications and additions of matrix products
};

// Times every op of a device, for forge-bench --ops. Costs nothing where it is not used: the device
// is wrapped only then.
//
// The functions of an OpTable have no state, so the profile in use is found through a variable of
// the program: at most one OpProfile may exist. It times calls, so it fits devices whose ops have
// run when they return. Thread-safe.
class OpProfile {
 public:
  OpProfile();
  ~OpProfile();
  OpProfile(const OpProfile&) = delete;
  OpProfile& operator=(const OpProfile&) = delete;

  // A device that does what `device` does and counts its ops here. REQUIRES: called once.
  std::unique_ptr<Device> Wrap(std::unique_ptr<Device> device);

  // Ops count from the first Resume on, until Pause. A call that is under way counts by how it
  // ends.
  void Resume() { is_counting_ = true; }
  void Pause() { is_counting_ = false; }
  void Reset();
  // By falling time.
  std::vector<OpRecord> Records() const;

  void Add(const OpRecord& call);  // nothing while it is paused
  const OpTable& wrapped_ops() const { return *wrapped_ops_; }

 private:
  const OpTable* wrapped_ops_ = nullptr;  // constant after Wrap
  std::atomic<bool> is_counting_ = false;
  mutable Mutex mutex_;
  std::vector<OpRecord> records_ FORGE_GUARDED_BY(mutex_);
};

}  // namespace forge
