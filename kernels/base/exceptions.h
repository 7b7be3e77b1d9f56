#pragma once

#include <chrono>
#include <exception>
#include <new>
#include <thread>

#include "kernels/base/status.h"

namespace forge {

// What an exception comes to for whoever waits for what it ended: kResourceExhausted for
// std::bad_alloc (reason HOST_MEMORY_EXHAUSTED) and for a thread that the system refuses, else
// kInternal with what it says. Throws std::bad_alloc where there is no memory to say so.
Status StatusOf(const std::exception_ptr& exception);

// Does `work`, and does it again, a moment later, as long as the host's memory ends in it. For what
// must not be left undone: others may free some. REQUIRES: `work` may begin anew wherever it threw.
template <typename Work>
auto UntilMemory(const Work& work) -> decltype(work()) {
  for (;;) {
    try {
      return work();
    } catch (const std::bad_alloc&) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }
}

// Does `work`, which returns a Status or a Result, and returns as such what it throws.
template <typename Work>
auto Caught(const Work& work) -> decltype(work()) {
  std::exception_ptr exception;
  try {
    return work();
  } catch (...) {
    exception = std::current_exception();
  }
  return UntilMemory([&]() -> decltype(work()) { return StatusOf(exception); });
}

// Does `work`, and where it throws, `fail` with what StatusOf says, so that no exception leaves. To
// be used where a thread or a callback begins: above it nobody waits for a Status, and the process
// would end. What `work` held is free when `fail` is called, which is called again where the memory
// ends in it.
template <typename Work, typename Fail>
void Contain(Work&& work, const Fail& fail) {
  std::exception_ptr exception;
  try {
    return work();
  } catch (...) {
    exception = std::current_exception();
  }
  UntilMemory([&] { fail(StatusOf(exception)); });
}

}  // namespace forge
