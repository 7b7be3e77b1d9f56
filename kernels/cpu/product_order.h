#pragma once

#include <unordered_map>
#include <utility>
#include <vector>

#include "kernels/cpu/thread_pool.h"

namespace forge {

// What each thread reads first in the product that comes next: a step has the same products in the
// same order as the step before it, so what came next then comes next again. If not, memory is
// fetched in vain that threads had time to fetch, and no result differs.
//
// Not thread-safe. Lifetime: addresses are only kept, never read.
class ProductOrder {
 public:
  // Called as a product begins. `weights`: its first matrix, which names it; `reads`: [thread],
  // what threads read first in it, empty if no one can tell. Returns the same of the product that
  // came next the last time, or nothing; valid until the next call.
  FirstReads Begin(const void* weights, std::vector<FirstRead> reads) {
    if (last_ != nullptr) next_[last_] = std::move(reads);
    last_ = weights;
    const auto next = next_.find(weights);
    return next == next_.end() ? FirstReads() : FirstReads(next->second);
  }

 private:
  const void* last_ = nullptr;
  // By the weights of the product before. As many entries as the model of a stream has products.
  std::unordered_map<const void*, std::vector<FirstRead>> next_;
};

}  // namespace forge
