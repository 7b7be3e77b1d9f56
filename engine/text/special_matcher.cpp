#include "engine/text/special_matcher.h"

#include <algorithm>

namespace forge {
namespace {

uint64_t ChildKey(size_t node, char byte) { return node << 8 | static_cast<uint8_t>(byte); }

bool IsSought(const Vocabulary& vocabulary, TokenId id) {
  const TokenType type = vocabulary.type(id);
  const size_t size = vocabulary.text(id).size();
  return size > 0 && size <= SpecialMatcher::kMaxTokenBytes &&
         (type == TokenType::kControl || type == TokenType::kUserDefined);
}

}  // namespace

SpecialMatcher::SpecialMatcher(const Vocabulary& vocabulary) {
  const auto n_tokens = static_cast<TokenId>(vocabulary.size());
  size_t n_bytes = 0;
  for (TokenId id = 0; id < n_tokens; ++id)
    if (IsSought(vocabulary, id)) n_bytes += vocabulary.text(id).size();
  children_ = PairTable(n_bytes);
  ends_.emplace_back();
  for (TokenId id = 0; id < n_tokens; ++id)
    if (IsSought(vocabulary, id))
      Insert(vocabulary.text(id), id, vocabulary.type(id) == TokenType::kControl);
}

void SpecialMatcher::Insert(std::string_view text, TokenId token, bool is_control) {
  starts_[static_cast<uint8_t>(text[0])] = true;
  size_t node = 0;
  for (const char byte : text) {
    const uint64_t key = ChildKey(node, byte);
    const PairTable::Value* const child = children_.Find(key);
    if (child != nullptr) {
      node = static_cast<size_t>(child->id);
      continue;
    }
    node = ends_.size();
    ends_.emplace_back();
    children_.Insert(key, {0, static_cast<int32_t>(node)});
  }
  if (ends_[node].token == Vocabulary::kNone) ends_[node] = {token, is_control};
}

SpecialMatcher::Match SpecialMatcher::MatchAt(std::string_view text, size_t begin,
                                              size_t control_end) const {
  Match longest{begin, 0, Vocabulary::kNone};
  size_t node = 0;
  for (size_t i = begin; i < text.size(); ++i) {
    const PairTable::Value* const child = children_.Find(ChildKey(node, text[i]));
    if (child == nullptr) break;
    node = static_cast<size_t>(child->id);
    const Ends& ends = ends_[node];
    if (ends.token != Vocabulary::kNone && (i < control_end || !ends.is_control))
      longest = {begin, i + 1 - begin, ends.token};
  }
  return longest;
}

SpecialMatcher::Match SpecialMatcher::Next(std::string_view text, size_t begin, bool with_control,
                                           std::span<const jinja::ByteRange> literal) const {
  auto range = std::partition_point(literal.begin(), literal.end(),
                                    [begin](const jinja::ByteRange& r) { return r.end <= begin; });
  for (size_t i = begin; i < text.size(); ++i) {
    if (!starts_[static_cast<uint8_t>(text[i])]) continue;
    while (range != literal.end() && range->end <= i) ++range;
    const size_t free_end = range == literal.end() ? text.size() : range->begin;
    const Match match = MatchAt(text, i, with_control ? free_end : 0);
    if (match.size > 0) return match;
  }
  return {text.size(), 0, Vocabulary::kNone};
}

}  // namespace forge
