#pragma once

namespace forge::emulator {

// Turns a SIGSEGV, SIGBUS or SIGFPE within a kernel into a fault of that kernel: the thread is left
// where it is and its BlockRunner goes on. A signal outside of kernels takes its usual course.
class FaultGuard {
 public:
  // Gives the calling thread a stack for signal handlers, since the fibre's own may be what
  // overflowed, and installs the handler, which stays for the life of the process.
  static void PrepareThread();
};

}  // namespace forge::emulator
