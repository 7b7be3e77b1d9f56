#pragma once

#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <chrono>
#include <new>
#include <thread>
#include <utility>

#include "daemon/rpc/call_errors.h"
#include "kernels/base/status.h"

namespace forge {

// Does `work`, the part of a call that runs on a worker's thread. How much that takes is the
// client's to say, so the memory may end in it: then `fail` gets a Status (reason
// HOST_MEMORY_EXHAUSTED), and the process goes on. `fail` is called again where it throws.
template <typename Work, typename Fail>
void WithCallMemory(Work&& work, const Fail& fail) {
  try {
    return work();
  } catch (const std::bad_alloc&) {
    // What it held is free by now.
  }
  for (;;) {
    try {
      return fail(NoCallMemory());
    } catch (const std::bad_alloc&) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }
}

// Does `work` as above on a thread of `pool`. Both own what they need of the call.
template <typename Work, typename Fail>
void PostWithCallMemory(boost::asio::thread_pool& pool, Work work, Fail fail) {
  boost::asio::post(pool, [work = std::move(work), fail = std::move(fail)]() mutable {
    WithCallMemory(work, fail);
  });
}

}  // namespace forge
