#pragma once

#include <new>
#include <string>
#include <string_view>

#include "kernels/base/result.h"

namespace forge {

// What a request comes to that the host has no memory for: kResourceExhausted (reason
// HOST_MEMORY_EXHAUSTED). `purpose`: "to ..."; `file`: what that is about, or empty.
Status NoHostMemory(std::string_view purpose, std::string_view file = {});

// How much a model's header and vocabulary take is the file's to say, and what a text, a grammar or
// an answer takes is the client's, so `work` may meet the end of the host's memory; that fails the
// request, not the process.
template <typename Work>
auto WithHostMemory(std::string_view purpose, std::string_view file, Work work)
    -> decltype(work()) {
  try {
    return work();
  } catch (const std::bad_alloc&) {
    return NoHostMemory(purpose, file);
  }
}

}  // namespace forge
