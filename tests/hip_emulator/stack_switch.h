#pragma once

#include <cstddef>
#include <cstdint>
#if !defined(__x86_64__)
#include <boost/context/detail/fcontext.hpp>
#endif

namespace forge::emulator {

// Where a stack goes on that was left.
using StackContext = void*;

// What a stack that goes on gets: the context of the stack that was left for it, and what that
// passed.
struct Arrival {
  StackContext left;
  void* data;
};

using StackMain = void (*)(void* data, StackContext left);

// NewStackContext: calls kMain, which must not return, on a stack of `bytes` that ends at `top`.
// SwitchStack: leaves the running stack for `target`, and returns when another switches back.
#if defined(__x86_64__)

template <StackMain kMain>
StackContext NewStackContext(std::byte* top, size_t /*bytes*/) {
  auto* const words = reinterpret_cast<void**>(reinterpret_cast<uintptr_t>(top) & ~uintptr_t{15});
  words[-1] =
      nullptr;  // as after a call: 8 bytes below a multiple of 16, with nowhere to return to
  words[-2] = reinterpret_cast<void*>(kMain);
  return &words[-2];
}

// Boost's jump_fcontext is called and not returned from, so that the processor mispredicts every
// return after it, which took more time than the kernels. Here a fibre's returns match the calls of
// the one before it, which stands where it stands. Control words of floating point are the same on
// all stacks.
[[gnu::always_inline]] inline Arrival SwitchStack(StackContext target, void* data) {
  StackContext left = nullptr;
  asm volatile(
      "subq $128, %%rsp\n"  // the red zone
      "pushq %%rbp\n"
      "pushq %%rbx\n"
      "leaq 1f(%%rip), %%rcx\n"
      "pushq %%rcx\n"
      "movq %%rsp, %%rsi\n"
      "movq %%rdx, %%rsp\n"
      "popq %%rcx\n"
      "jmpq *%%rcx\n"
      "1:\n"
      "popq %%rbx\n"
      "popq %%rbp\n"
      "addq $128, %%rsp\n"
      : "+D"(data), "+S"(left), "+d"(target)  // rdi and rsi: also the arguments of kMain
      :
      : "rax", "rcx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "cc", "memory", "xmm0",
        "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11",
        "xmm12", "xmm13", "xmm14", "xmm15");
  return {.left = left, .data = data};
}

#else

template <StackMain kMain>
StackContext NewStackContext(std::byte* top, size_t bytes) {
  return boost::context::detail::make_fcontext(
      top, bytes, [](boost::context::detail::transfer_t from) { kMain(from.data, from.fctx); });
}

inline Arrival SwitchStack(StackContext target, void* data) {
  const auto from = boost::context::detail::jump_fcontext(target, data);
  return {.left = from.fctx, .data = from.data};
}

#endif

}  // namespace forge::emulator
