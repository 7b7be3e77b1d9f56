#include "engine/runtime/host_memory.h"

#include "engine/gguf/gguf_fault.h"

namespace forge {

Status NoHostMemory(std::string_view purpose, std::string_view file) {
  return ResourceExhausted("no host memory " + std::string(purpose) +
                           (file.empty() ? "" : " " + QuoteText(file)) +
                           "; free some, or raise the limit of this process")
      .WithReason("HOST_MEMORY_EXHAUSTED");
}

}  // namespace forge
