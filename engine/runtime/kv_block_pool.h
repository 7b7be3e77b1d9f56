#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <vector>

namespace forge {

// Names what the computed blocks of a prefix hold; see PrefixIndex. 0: no prefix.
using PrefixId = uint64_t;

// Counts who uses each block of one group of layers, and hands out those that nobody uses.
//
// A block has a name while its contents may be found by another sequence. One that nobody uses
// keeps it until the block is taken for something else: those without a name go first, then those
// unused for longest. Allocates nothing once it is made. Thread-compatible. REQUIRES of all: 0 <=
// block < n_blocks.
class KvBlockPool {
 public:
  explicit KvBlockPool(uint32_t n_blocks);
  KvBlockPool(KvBlockPool&&) noexcept = default;  // a copy's places would be those of the original

  struct Taken {
    int32_t block;
    PrefixId forgotten;  // the name that it had
  };
  // A block with one use and no name. REQUIRES: n_free() > 0.
  Taken Take();
  // One more use of a block. REQUIRES: it has a name.
  void Use(int32_t block);
  // One use less. REQUIRES: it has one.
  void Drop(int32_t block);
  // REQUIRES: the block is in use.
  void SetName(int32_t block, PrefixId name);

  PrefixId name(int32_t block) const { return blocks_[static_cast<size_t>(block)].name; }
  uint32_t n_uses(int32_t block) const { return blocks_[static_cast<size_t>(block)].n_uses; }
  // Blocks that nobody uses, with and without a name.
  uint32_t n_free() const { return static_cast<uint32_t>(unnamed_.size() + named_.size()); }

 private:
  struct Block {
    uint32_t n_uses = 0;
    PrefixId name = 0;
    std::list<int32_t>::iterator place;  // in named_ or others_
  };
  std::vector<Block> blocks_;
  // Of those that nobody uses:
  std::vector<int32_t> unnamed_;  // a stack: the block used last is the one still in a cache
  std::list<int32_t> named_;      // the one unused for longest first
  std::list<int32_t> others_;     // all that are not in named_, so that none needs a new node there
};

}  // namespace forge
