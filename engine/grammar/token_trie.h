#pragma once

#include <cstdint>
#include <vector>

#include "engine/text/tokenizer.h"

namespace forge {

// A vocabulary's tokens as a tree of their bytes, in which tokens that begin alike share the walk.
//
// Holds the tokens that stand for text: neither control tokens, nor those that end an answer, nor
// those without any bytes. Thread-safe: immutable.
class TokenTrie {
 public:
  // One byte after those of its parent. Nodes are in preorder, so the nodes below one follow it, up
  // to `end`.
  struct Node {
    uint32_t end;          // index of the first node that is not below this one
    uint32_t first_token;  // of those that end here; see token()
    uint16_t depth;        // bytes from the root to here
    uint8_t byte;
  };

  // Of the tokens below `n_vocab`, those that the model computes logits of.
  TokenTrie(const Tokenizer& tokenizer, size_t n_vocab);

  // Without the root. One entry more than there are nodes: the last ends the tokens of the one
  // before it.
  const std::vector<Node>& nodes() const { return nodes_; }
  uint32_t n_nodes() const { return static_cast<uint32_t>(nodes_.size() - 1); }
  // The tokens that end at node i are those from its first_token to that of node i + 1.
  TokenId token(uint32_t i) const { return tokens_[i]; }
  // Bytes of the longest token.
  size_t depth() const { return depth_; }

 private:
  std::vector<Node> nodes_;
  std::vector<TokenId> tokens_;  // by their bytes
  size_t depth_ = 0;
};

}  // namespace forge
