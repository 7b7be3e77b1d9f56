#include "daemon/residency/memory_advice.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <vector>

#include "kernels/base/byte_text.h"

namespace forge {
namespace {

std::string LargestPart(const ModelFileInfo& plan) {
  const uint64_t largest = std::max({plan.weights_bytes, plan.kv_bytes, plan.scratch_bytes});
  if (largest == plan.weights_bytes) return fmt::format("its weights take {}", ByteText(largest));
  if (largest == plan.scratch_bytes)
    return fmt::format("its scratch memory takes {} with chunks of {} tokens", ByteText(largest),
                       plan.prefill_chunk);
  return fmt::format("its KV cache takes {} for {} sequences of {} tokens in {}", ByteText(largest),
                     plan.max_sequences, plan.context_length, KvDTypeName(plan.kv_dtype));
}

// What makes the KV cache smaller.
std::vector<std::string> SmallerCache(const ModelFileInfo& plan) {
  std::vector<std::string> ways = {"a shorter context (--context)"};
  if (plan.max_sequences > 1) ways.push_back("fewer sequences (--parallel)");
  const bool may_be_q8_0 = plan.kv_dtype != KvDType::kQ8_0 && plan.head_dim % 32 == 0;
  if (may_be_q8_0 || plan.kv_dtype == KvDType::kF32)
    ways.push_back(
        fmt::format("a smaller KV cache type (--kv-cache-type {})", may_be_q8_0 ? "q8_0" : "f16"));
  return ways;
}

}  // namespace

std::string MemoryAdvice(const ModelFileInfo& plan, uint64_t available_bytes) {
  const std::string part = LargestPart(plan);
  if (plan.weights_bytes >= available_bytes)
    return fmt::format(
        "{}; take a file of it with smaller weights (a lower quantisation), or a "
        "smaller model",
        part);
  std::vector<std::string> ways = SmallerCache(plan);
  if (plan.scratch_bytes >= plan.kv_bytes)
    ways.insert(ways.begin(), "a smaller chunk (--prefill-chunk)");
  if (plan.weights_bytes >= plan.kv_bytes) ways.push_back("a file with smaller weights");
  const std::string last = std::move(ways.back());
  ways.pop_back();
  return ways.empty() ? fmt::format("{}; load it with {}", part, last)
                      : fmt::format("{}; load it with {} or {}", part, fmt::join(ways, ", "), last);
}

}  // namespace forge
