#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace forge {

// Finds a token by its bytes: an open-addressed hash table over texts that somebody else keeps.
//
// Thread-compatible. Lifetime: the texts must outlive it.
class TokenTable {
 public:
  static constexpr int32_t kNotFound = -1;

  TokenTable() = default;
  // Makes room for `n_tokens` insertions.
  explicit TokenTable(size_t n_tokens);

  // Keeps the first of several tokens with the same text. REQUIRES: id >= 0 and room for it.
  void Insert(std::string_view text, int32_t id);
  int32_t Find(std::string_view text) const;

 private:
  struct Slot {
    uint64_t hash = 0;
    std::string_view text;
    int32_t id = kNotFound;
  };
  std::vector<Slot> slots_;  // a power of two of them, at most half used; or none
};

// Finds the value of a 64-bit key, as TokenTable does of a text. Thread-compatible.
class PairTable {
 public:
  struct Value {
    uint32_t rank;
    int32_t id;
  };

  PairTable() = default;
  explicit PairTable(size_t n_pairs);

  // Keeps the first value of a key. REQUIRES: room for it.
  void Insert(uint64_t key, Value value);
  // nullptr if absent.
  const Value* Find(uint64_t key) const;

 private:
  struct Slot {
    uint64_t key = 0;
    Value value = {0, TokenTable::kNotFound};
  };
  std::vector<Slot> slots_;
};

}  // namespace forge
