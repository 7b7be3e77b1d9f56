#include "engine/text/special_matcher.h"

#include <algorithm>
#include <numeric>

namespace forge {
namespace {

bool IsSought(const Vocabulary& vocabulary, TokenId id) {
  const TokenType type = vocabulary.type(id);
  const size_t size = vocabulary.text(id).size();
  return size > 0 && size <= SpecialMatcher::kMaxTokenBytes &&
         (type == TokenType::kControl || type == TokenType::kUserDefined);
}

size_t CommonBytes(std::string_view a, std::string_view b) {
  const auto end = std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first;
  return static_cast<size_t>(end - a.begin());
}

}  // namespace

SpecialMatcher::SpecialMatcher(const Vocabulary& vocabulary) : vocabulary_(vocabulary) {
  const auto text = [&](const Sought& sought) { return vocabulary.text(sought.token); };
  for (TokenId id = 0; static_cast<size_t>(id) < vocabulary.size(); ++id)
    if (IsSought(vocabulary, id)) sought_.push_back({id, kNoPrefix});
  std::ranges::stable_sort(sought_, {}, text);  // of equal texts the lowest id counts
  const auto has_text_of = [&](const Sought& a, const Sought& b) { return text(a) == text(b); };
  sought_.erase(std::unique(sought_.begin(), sought_.end(), has_text_of), sought_.end());
  sought_.shrink_to_fit();
  for (uint32_t i = 0; i < sought_.size(); ++i) {
    ++first_[static_cast<uint8_t>(text(sought_[i])[0]) + size_t{1}];
    // Whatever this one starts with, the one before is or starts with too.
    uint32_t prefix = i == 0 ? kNoPrefix : i - 1;
    while (prefix != kNoPrefix && !text(sought_[i]).starts_with(text(sought_[prefix])))
      prefix = sought_[prefix].prefix;
    sought_[i].prefix = prefix;
  }
  std::partial_sum(first_.begin(), first_.end(), first_.begin());
}

SpecialMatcher::Match SpecialMatcher::MatchAt(std::string_view text, size_t begin,
                                              size_t control_end) const {
  // As above: all that match here are the last one that does not sort behind the text, or its
  // prefixes.
  const std::string_view here = text.substr(begin, kMaxTokenBytes);
  const size_t first_byte = static_cast<uint8_t>(here[0]);
  const auto group = sought_.begin() + first_[first_byte];
  const auto next = std::ranges::upper_bound(
      group, sought_.begin() + first_[first_byte + 1], here, {},
      [this](const Sought& sought) { return vocabulary_.text(sought.token); });
  if (next == group) return {begin, 0, Vocabulary::kNone};
  const size_t n_common = CommonBytes(here, vocabulary_.text(std::prev(next)->token));
  for (auto i = static_cast<uint32_t>(next - sought_.begin() - 1); i != kNoPrefix;
       i = sought_[i].prefix) {
    const TokenId token = sought_[i].token;
    const size_t size = vocabulary_.text(token).size();
    const bool is_control = vocabulary_.type(token) == TokenType::kControl;
    if (size <= n_common && (!is_control || begin + size <= control_end))
      return {begin, size, token};
  }
  return {begin, 0, Vocabulary::kNone};
}

SpecialMatcher::Match SpecialMatcher::Next(std::string_view text, size_t begin, bool with_control,
                                           std::span<const jinja::ByteRange> literal) const {
  auto range = std::partition_point(literal.begin(), literal.end(),
                                    [begin](const jinja::ByteRange& r) { return r.end <= begin; });
  for (size_t i = begin; i < text.size(); ++i) {
    const size_t byte = static_cast<uint8_t>(text[i]);
    if (first_[byte] == first_[byte + 1]) continue;
    while (range != literal.end() && range->end <= i) ++range;
    const size_t free_end = range == literal.end() ? text.size() : range->begin;
    const Match match = MatchAt(text, i, with_control ? free_end : 0);
    if (match.size > 0) return match;
  }
  return {text.size(), 0, Vocabulary::kNone};
}

}  // namespace forge
