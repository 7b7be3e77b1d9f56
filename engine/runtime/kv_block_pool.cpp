#include "engine/runtime/kv_block_pool.h"

#include <string>

#include "kernels/base/check.h"

namespace forge {

KvBlockPool::KvBlockPool(uint32_t n_blocks) : blocks_(n_blocks) {
  unnamed_.reserve(n_blocks);
  for (uint32_t block = n_blocks; block > 0; --block)
    unnamed_.push_back(static_cast<int32_t>(block - 1));
  for (uint32_t block = 0; block < n_blocks; ++block)
    blocks_[block].place = others_.insert(others_.end(), static_cast<int32_t>(block));
}

KvBlockPool::Taken KvBlockPool::Take() {
  FORGE_CHECK(n_free() > 0, "no KV block is free");
  Taken taken = {};
  if (!unnamed_.empty()) {
    taken.block = unnamed_.back();
    unnamed_.pop_back();
  } else {
    taken.block = named_.front();
    others_.splice(others_.end(), named_, named_.begin());
  }
  Block& block = blocks_[static_cast<size_t>(taken.block)];
  taken.forgotten = block.name;
  block.name = 0;
  block.n_uses = 1;
  return taken;
}

void KvBlockPool::Use(int32_t index) {
  Block& block = blocks_[static_cast<size_t>(index)];
  FORGE_CHECK(block.name != 0, "block " + std::to_string(index) + " has no name");
  if (block.n_uses++ == 0) others_.splice(others_.end(), named_, block.place);
}

void KvBlockPool::Drop(int32_t index) {
  Block& block = blocks_[static_cast<size_t>(index)];
  FORGE_CHECK(block.n_uses > 0, "block " + std::to_string(index) + " is not in use");
  if (--block.n_uses > 0) return;
  if (block.name == 0)
    unnamed_.push_back(index);
  else
    named_.splice(named_.end(), others_, block.place);
}

void KvBlockPool::SetName(int32_t index, PrefixId name) {
  Block& block = blocks_[static_cast<size_t>(index)];
  FORGE_CHECK(block.n_uses > 0, "block " + std::to_string(index) + " is not in use");
  block.name = name;
}

}  // namespace forge
