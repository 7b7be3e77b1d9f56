#include "engine/grammar/token_trie.h"

#include <algorithm>
#include <string>
#include <utility>

namespace forge {

TokenTrie::TokenTrie(const Tokenizer& tokenizer, size_t n_vocab) {
  std::vector<std::pair<std::string, TokenId>> texts;
  for (size_t i = 0; i < std::min(tokenizer.n_tokens(), n_vocab); ++i) {
    const auto token = static_cast<TokenId>(i);
    if (tokenizer.EndsGeneration(token)) continue;
    std::string bytes = tokenizer.TokenBytes(token, /*render_special=*/false);
    // Longer ones (Vocabulary allows 64 KiB) are of no use to an answer; leaving them out is safe.
    constexpr size_t kMostBytes = 1024;
    if (!bytes.empty() && bytes.size() <= kMostBytes) texts.emplace_back(std::move(bytes), token);
  }
  std::sort(texts.begin(), texts.end());

  std::vector<uint32_t> path;  // the nodes of the text before this one
  const std::string* previous = nullptr;
  for (const auto& [text, token] : texts) {
    size_t n_shared = 0;
    if (previous != nullptr)
      n_shared = static_cast<size_t>(
          std::mismatch(text.begin(), text.end(), previous->begin(), previous->end()).first -
          text.begin());
    for (; path.size() > n_shared; path.pop_back())
      nodes_[path.back()].end = static_cast<uint32_t>(nodes_.size());
    for (size_t i = n_shared; i < text.size(); ++i) {
      path.push_back(static_cast<uint32_t>(nodes_.size()));
      nodes_.push_back({0, static_cast<uint32_t>(tokens_.size()), static_cast<uint16_t>(i + 1),
                        static_cast<uint8_t>(text[i])});
    }
    tokens_.push_back(token);
    depth_ = std::max(depth_, text.size());
    previous = &text;
  }
  for (const uint32_t node : path) nodes_[node].end = static_cast<uint32_t>(nodes_.size());
  nodes_.push_back({0, static_cast<uint32_t>(tokens_.size()), 0, 0});
}

}  // namespace forge
