#pragma once

#include <cstdint>
#include <string>

namespace forge::testing {

// Fails one allocation of this program, with std::bad_alloc: the first one of the daemon's own code
// from the n-th on, on any thread that is not exempt.
//
// The daemon's own is what has a function of namespace forge on its stack nearer than one of gRPC
// or protobuf. What these allocate does not fail, because they cannot bear it: gRPC's core ends the
// process, a call at whose end gRPC throws gets none, and a message of protobuf counts an element
// or a field that it has not allocated, and is then destroyed with it. Nor does std::filesystem's,
// whose iterators end the process, and what is below testing::FakeEngine, which does not do what
// engines promise then. One at a time. Not thread-safe.
class FailingAllocation {
 public:
  explicit FailingAllocation(int64_t n);
  ~FailingAllocation();
  FailingAllocation(const FailingAllocation&) = delete;
  FailingAllocation& operator=(const FailingAllocation&) = delete;

  bool has_failed() const;
  // The functions on the stack where it failed.
  std::string Place() const;
};

// This thread's allocations are not counted and do not fail.
void ExemptThread(bool is_exempt = true);

}  // namespace forge::testing
