#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <unordered_map>
#include <vector>

#include "engine/runtime/kv_block_pool.h"
#include "engine/text/tokenizer.h"

namespace forge {

// Finds the blocks that hold the keys and values of a prefix: of a text's first tokens, a whole
// number of blocks long.
//
// A prefix is its last block's tokens behind another prefix, so that keys and values are found only
// for the very tokens that they were computed of: nothing rests on a hash. Ids are never given
// twice; one behind a prefix that was forgotten is not found any more. Only FindOrAdd allocates,
// and changes nothing where that fails. Thread-compatible.
class PrefixIndex {
 public:
  static constexpr int32_t kNoBlock = -1;

  explicit PrefixIndex(size_t n_groups) : n_groups_(n_groups) {}

  // The prefix of `tokens`, one block of them, behind `parent` (0: at the start of a text). 0 if it
  // is not known.
  PrefixId Find(PrefixId parent, std::span<const TokenId> tokens) const;
  // The same, made known if it is not.
  PrefixId FindOrAdd(PrefixId parent, std::span<const TokenId> tokens);

  // What holds the last block of a prefix in a group of layers, or kNoBlock.
  int32_t block(PrefixId prefix, size_t group) const;
  // REQUIRES: the prefix is known.
  void SetBlock(PrefixId prefix, size_t group, int32_t block);
  // Forgets the prefix where it has no block left.
  void ForgetIfEmpty(PrefixId prefix);

  size_t size() const { return prefixes_.size(); }

 private:
  struct Key {
    PrefixId parent;
    std::vector<TokenId> tokens;
  };
  struct KeyView {
    PrefixId parent;
    std::span<const TokenId> tokens;
    KeyView(const Key& key) : parent(key.parent), tokens(key.tokens) {}  // NOLINT: as a view does
    KeyView(PrefixId p, std::span<const TokenId> t) : parent(p), tokens(t) {}
  };
  struct Less {
    using is_transparent = void;
    bool operator()(const KeyView& a, const KeyView& b) const;
  };
  using Ids = std::map<Key, PrefixId, Less>;
  struct Prefix {
    Ids::iterator place;
    std::vector<int32_t> blocks;  // [n_groups]
  };

  const size_t n_groups_;
  PrefixId last_id_ = 0;
  Ids ids_;
  std::unordered_map<PrefixId, Prefix> prefixes_;
};

}  // namespace forge
