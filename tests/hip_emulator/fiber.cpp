#include "tests/hip_emulator/fiber.h"

#include <sys/mman.h>

#include "kernels/base/check.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FORGE_ASAN 1
#endif
#if __has_feature(thread_sanitizer)
#define FORGE_TSAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define FORGE_ASAN 1
#endif
#if defined(__SANITIZE_THREAD__)
#define FORGE_TSAN 1
#endif
#if defined(FORGE_ASAN)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(FORGE_TSAN)
#include <sanitizer/tsan_interface.h>
#endif

namespace forge::emulator {
namespace {

constexpr size_t kPageBytes = 4096;

}  // namespace

FiberStack::FiberStack() {
  void* const data = mmap(nullptr, kPageBytes + kBytes, PROT_NONE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  FORGE_CHECK(data != MAP_FAILED, "no address space for the stack of a fibre");
  bottom_ = static_cast<std::byte*>(data) + kPageBytes;
  FORGE_CHECK(mprotect(bottom_, kBytes, PROT_READ | PROT_WRITE) == 0, "no stack for a fibre");
}

FiberStack::~FiberStack() {
#if defined(FORGE_ASAN)
  // Frames that were left for good have marks that would stay for whatever comes to lie here.
  __asan_unpoison_memory_region(bottom_, kBytes);
#endif
  munmap(bottom_ - kPageBytes, kPageBytes + kBytes);
}

bool FiberStack::Guards(const void* address) const {
  const auto* const byte = static_cast<const std::byte*>(address);
  return byte >= bottom_ - kPageBytes && byte < bottom_;
}

void Fiber::Reset(void (*main)(void*), void* argument) {
  main_ = main;
  argument_ = argument;
#if defined(FORGE_ASAN)
  __asan_unpoison_memory_region(stack_.bottom(), stack_.bytes());
#endif
#if defined(FORGE_TSAN)
  if (fiber_state_ != nullptr) __tsan_destroy_fiber(fiber_state_);
  fiber_state_ = __tsan_create_fiber(0);
#endif
  context_ = NewStackContext<&Fiber::Enter>(stack_.top(), stack_.bytes());
}

void Fiber::Enter(void* fiber, StackContext caller) {
  Fiber& self = *static_cast<Fiber*>(fiber);
#if defined(FORGE_ASAN)
  __sanitizer_finish_switch_fiber(nullptr, &self.caller_bottom_, &self.caller_bytes_);
#endif
  self.caller_ = caller;
  self.main_(self.argument_);
  FORGE_CHECK(false, "the main function of a fibre returned");
}

// Whoever jumps passes the fibre that the jump is about: Resume the one it runs, a fibre itself. So
// one that goes on tells them apart, and knows where to keep the context that was left.
void Fiber::Resume() {
#if defined(FORGE_ASAN)
  void* fake_stack = nullptr;
  __sanitizer_start_switch_fiber(&fake_stack, stack_.bottom(), stack_.bytes());
#endif
#if defined(FORGE_TSAN)
  caller_state_ = __tsan_get_current_fiber();
  __tsan_switch_to_fiber(fiber_state_, 0);
#endif
  const Arrival back = SwitchStack(context_, this);
#if defined(FORGE_ASAN)
  __sanitizer_finish_switch_fiber(fake_stack, nullptr, nullptr);
#endif
  static_cast<Fiber*>(back.data)->context_ = back.left;
}

void Fiber::Suspend() {
#if defined(FORGE_ASAN)
  __sanitizer_start_switch_fiber(&fiber_state_, caller_bottom_, caller_bytes_);
#endif
#if defined(FORGE_TSAN)
  __tsan_switch_to_fiber(caller_state_, 0);
#endif
  Leave(caller_);
}

void Fiber::SwitchTo(Fiber& next) {
#if defined(FORGE_ASAN)
  __sanitizer_start_switch_fiber(&fiber_state_, next.stack_.bottom(), next.stack_.bytes());
#endif
#if defined(FORGE_TSAN)
  __tsan_switch_to_fiber(next.fiber_state_, 0);
#endif
  next.caller_ = caller_;
  next.caller_state_ = caller_state_;
  next.caller_bottom_ = caller_bottom_;
  next.caller_bytes_ = caller_bytes_;
  Leave(next.context_);
}

void Fiber::Leave(StackContext target) {
  const Arrival back = SwitchStack(target, this);
  const bool is_resumed = back.data == this;
#if defined(FORGE_ASAN)
  const void* left_bottom = nullptr;
  size_t left_bytes = 0;
  __sanitizer_finish_switch_fiber(fiber_state_, &left_bottom, &left_bytes);
  if (is_resumed) {
    caller_bottom_ = left_bottom;
    caller_bytes_ = left_bytes;
  }
#endif
  (is_resumed ? caller_ : static_cast<Fiber*>(back.data)->context_) = back.left;
}

}  // namespace forge::emulator
