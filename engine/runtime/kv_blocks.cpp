#include "engine/runtime/kv_blocks.h"

#include <string>

#include "kernels/base/check.h"

namespace forge {

KvBlockPool::KvBlockPool(uint32_t n_blocks) : in_use_(n_blocks, false) {
  free_.reserve(n_blocks);
  for (uint32_t block = n_blocks; block > 0; --block)
    free_.push_back(static_cast<int32_t>(block - 1));
}

Status KvBlockPool::Extend(KvBlockTable& table, uint32_t n_blocks) {
  if (table.size() >= n_blocks) return Status();
  const size_t n_missing = n_blocks - table.size();
  if (n_missing > free_.size())
    return ResourceExhausted("not enough free KV blocks: " + std::to_string(n_missing) +
                             " needed, " + std::to_string(free_.size()) + " free");
  for (size_t i = 0; i < n_missing; ++i) {
    const int32_t block = free_.back();
    free_.pop_back();
    in_use_[static_cast<size_t>(block)] = true;
    table.push_back(block);
  }
  return Status();
}

void KvBlockPool::Release(KvBlockTable& table) {
  for (auto block = table.rbegin(); block != table.rend(); ++block) {
    const auto index = static_cast<size_t>(*block);
    FORGE_CHECK(index < in_use_.size() && in_use_[index], "block " + std::to_string(*block));
    in_use_[index] = false;
    free_.push_back(*block);
  }
  table.clear();
}

}  // namespace forge
