#include "tests/hip_emulator/fault_guard.h"

#include <ucontext.h>

#include <csignal>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>

#include "kernels/base/check.h"
#include "tests/hip_emulator/block_runner.h"

namespace forge::emulator {
namespace {

constexpr size_t kSignalStackBytes = 64 * 1024;

void LeaveKernel() { BlockRunner::Current()->Abandon(); }

// Makes the interrupted thread call LeaveKernel on a fresh stack when the handler returns.
void Divert(ucontext_t& context, std::byte* stack_top) {
  // As after a call instruction: 8 bytes below a multiple of 16.
  const uintptr_t top = (reinterpret_cast<uintptr_t>(stack_top) - 1024) & ~uintptr_t{15};
#if defined(__x86_64__)
  context.uc_mcontext.gregs[REG_RSP] = static_cast<greg_t>(top - 8);
  context.uc_mcontext.gregs[REG_RIP] =
      static_cast<greg_t>(reinterpret_cast<uintptr_t>(&LeaveKernel));
#elif defined(__aarch64__)
  context.uc_mcontext.sp = top;
  context.uc_mcontext.pc = reinterpret_cast<uintptr_t>(&LeaveKernel);
#else
#error "tell the emulator how to leave a signal handler on this processor"
#endif
}

void OnSignal(int signal, siginfo_t* info, void* context) {
  BlockRunner* const runner = BlockRunner::Current();
  if (runner == nullptr) {  // runs again when the handler returns, and ends the process
    std::signal(signal, SIG_DFL);
    return;
  }
  runner->RecordSignal(signal, info->si_addr);
  Divert(*static_cast<ucontext_t*>(context), runner->RunningStackTop());
}

void InstallHandler() {
  struct sigaction action = {};
  action.sa_sigaction = &OnSignal;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  for (const int signal : {SIGSEGV, SIGBUS, SIGFPE})
    FORGE_CHECK(sigaction(signal, &action, nullptr) == 0, "no handler for faults of kernels");
}

// The signal stack of a thread.
class SignalStack {
 public:
  SignalStack() : memory_(new std::byte[kSignalStackBytes]) {
    stack_t stack = {};
    stack.ss_sp = memory_.get();
    stack.ss_size = kSignalStackBytes;
    FORGE_CHECK(sigaltstack(&stack, nullptr) == 0, "no stack for signals");
  }
  ~SignalStack() {
    stack_t none = {};
    none.ss_flags = SS_DISABLE;
    sigaltstack(&none, nullptr);
  }
  SignalStack(const SignalStack&) = delete;
  SignalStack& operator=(const SignalStack&) = delete;

 private:
  std::unique_ptr<std::byte[]> memory_;
};

}  // namespace

void FaultGuard::PrepareThread() {
  static std::once_flag installed;
  std::call_once(installed, &InstallHandler);
  thread_local SignalStack stack;
}

}  // namespace forge::emulator
