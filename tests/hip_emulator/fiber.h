#pragma once

#include <cstddef>

#include "tests/hip_emulator/stack_switch.h"

namespace forge::emulator {

// A stack of its own, with an inaccessible page below it. Owns the memory.
class FiberStack {
 public:
  FiberStack();
  ~FiberStack();
  FiberStack(const FiberStack&) = delete;
  FiberStack& operator=(const FiberStack&) = delete;

  std::byte* bottom() const { return bottom_; }
  std::byte* top() const { return bottom_ + kBytes; }
  size_t bytes() const { return kBytes; }
  bool Guards(const void* address) const;  // is the address in the page below?

 private:
  static constexpr size_t kBytes = 256 * 1024;
  std::byte* bottom_;
};

// Runs a function on a stack of its own, and can be left in the middle of it for good.
//
// Built on bare switches of stacks rather than boost::context::fiber, which unwinds a fibre that is
// destroyed while it waits: the stack of a kernel that has faulted must not be touched again. Not
// thread-safe: Resume and Suspend are called on one thread.
class Fiber {
 public:
  Fiber() = default;

  // Makes the next Resume call `main`(argument), which must not return. What ran before is dropped.
  void Reset(void (*main)(void*), void* argument);
  // Runs the fibre until it calls Suspend, or FaultGuard takes it out of a kernel.
  void Resume();
  // REQUIRES: called on the fibre. Goes on in Resume's caller.
  void Suspend();
  // REQUIRES: called on the fibre; `next` was suspended, or switched from, on this thread. Runs
  // `next` in its place until that switches to another or calls Suspend, which goes on in the
  // caller of Resume.
  void SwitchTo(Fiber& next);

  const FiberStack& stack() const { return stack_; }

 private:
  static void Enter(void* fiber, StackContext caller);
  // Stops running until another resumes this fibre or switches to it.
  void Leave(StackContext target);

  FiberStack stack_;
  StackContext context_ = nullptr;
  StackContext caller_ = nullptr;
  void (*main_)(void*) = nullptr;
  void* argument_ = nullptr;

  // What sanitizers must know of a switch of stacks.
  [[maybe_unused]] void* fiber_state_ = nullptr;
  [[maybe_unused]] void* caller_state_ = nullptr;
  [[maybe_unused]] const void* caller_bottom_ = nullptr;
  [[maybe_unused]] size_t caller_bytes_ = 0;
};

}  // namespace forge::emulator
