#include "engine/runtime/kv_blocks.h"

#include <algorithm>
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

KvBlocks::KvBlocks(const std::vector<KvGroup>& groups, uint32_t block_tokens)
    : groups_(groups), block_tokens_(block_tokens) {
  for (const KvGroup& group : groups) pools_.emplace_back(group.n_blocks);
}

uint32_t KvBlocks::BlocksFor(size_t group, uint32_t n_positions) const {
  const uint32_t n_blocks = (n_positions + block_tokens_ - 1) / block_tokens_;
  return std::min(n_blocks, groups_[group].blocks_per_sequence);
}

bool KvBlocks::CanExtend(const KvBlockTables& tables, uint32_t n_positions) const {
  for (size_t group = 0; group < pools_.size(); ++group) {
    const size_t n_held = tables.empty() ? 0 : tables[group].size();
    if (n_held + pools_[group].n_free() < BlocksFor(group, n_positions)) return false;
  }
  return true;
}

void KvBlocks::Extend(KvBlockTables& tables, uint32_t n_positions) {
  tables.resize(pools_.size());
  for (size_t group = 0; group < pools_.size(); ++group) {
    const Status extended = pools_[group].Extend(tables[group], BlocksFor(group, n_positions));
    FORGE_CHECK(extended.ok(), extended.message());
  }
}

bool KvBlocks::HoldsWindowAt(uint32_t position, uint32_t n_computed) const {
  const uint32_t n_written = (n_computed + block_tokens_ - 1) / block_tokens_;
  return std::all_of(groups_.begin(), groups_.end(), [&](const KvGroup& group) {
    const uint32_t n_lost = n_written - std::min(n_written, group.blocks_per_sequence);
    const uint32_t first_seen = position - std::min(position, group.window - 1);
    return n_lost == 0 || (group.window > 0 && first_seen >= n_lost * block_tokens_);
  });
}

void KvBlocks::Release(KvBlockTables& tables) {
  for (size_t group = 0; group < tables.size(); ++group) pools_[group].Release(tables[group]);
  tables.clear();
}

}  // namespace forge
