#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <vector>

#include "engine/text/tokenizer.h"

namespace forge {

// Says of each token of a vocabulary whether it may come next. Thread-compatible.
class TokenMask {
 public:
  TokenMask() = default;
  // Allows nothing.
  explicit TokenMask(size_t n_vocab) : words_((n_vocab + 63) / 64, 0) {}

  void Allow(TokenId token) {
    words_[static_cast<size_t>(token) / 64] |= uint64_t{1} << (static_cast<size_t>(token) % 64);
  }
  bool Allows(TokenId token) const { return Allows(static_cast<size_t>(token)); }
  bool Allows(size_t token) const { return (words_[token / 64] >> (token % 64) & 1) != 0; }
  void AllowAllOf(const TokenMask& other) {
    for (size_t i = 0; i < words_.size(); ++i) words_[i] |= other.words_[i];
  }

  bool empty() const {
    return std::all_of(words_.begin(), words_.end(), [](uint64_t word) { return word == 0; });
  }
  size_t n_allowed() const {
    size_t n = 0;
    for (const uint64_t word : words_) n += static_cast<size_t>(std::popcount(word));
    return n;
  }
  size_t bytes() const { return words_.size() * sizeof(uint64_t); }

  // Calls `visit` with every allowed token, ascending.
  template <typename Visit>
  void ForEach(const Visit& visit) const {
    for (size_t i = 0; i < words_.size(); ++i)
      for (uint64_t word = words_[i]; word != 0; word &= word - 1)
        visit(i * 64 + static_cast<size_t>(std::countr_zero(word)));
  }

 private:
  std::vector<uint64_t> words_;
};

}  // namespace forge
