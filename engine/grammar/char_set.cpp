#include "engine/grammar/char_set.h"

#include <algorithm>

namespace forge {
namespace {

constexpr CodePointRange kSurrogates = {0xd800, 0xdfff};

// Ascending ranges that do not touch.
std::vector<CodePointRange> Merge(std::vector<CodePointRange> ranges) {
  std::sort(ranges.begin(), ranges.end(),
            [](const CodePointRange& a, const CodePointRange& b) { return a.first < b.first; });
  std::vector<CodePointRange> merged;
  for (const CodePointRange& range : ranges) {
    if (!merged.empty() && range.first <= merged.back().last + 1)
      merged.back().last = std::max(merged.back().last, range.last);
    else
      merged.push_back(range);
  }
  return merged;
}

// What no range of `merged` holds, surrogates included.
std::vector<CodePointRange> Gaps(const std::vector<CodePointRange>& merged) {
  std::vector<CodePointRange> gaps;
  char32_t next = 0;
  for (const CodePointRange& range : merged) {
    if (range.first > next) gaps.push_back({next, range.first - 1});
    next = range.last + 1;
  }
  if (next <= kMaxCodePoint) gaps.push_back({next, kMaxCodePoint});
  return gaps;
}

}  // namespace

CharSet::CharSet(std::vector<CodePointRange> ranges) {
  std::vector<CodePointRange> outside = Gaps(Merge(std::move(ranges)));
  outside.push_back(kSurrogates);
  ranges_ = Gaps(Merge(std::move(outside)));
}

CharSet CharSet::All() { return CharSet({{0, kMaxCodePoint}}); }

CharSet CharSet::Of(std::string_view characters) {
  std::vector<CodePointRange> ranges;
  for (const char character : characters) {
    const auto code_point = static_cast<char32_t>(static_cast<unsigned char>(character));
    ranges.push_back({code_point, code_point});
  }
  return CharSet(std::move(ranges));
}

bool CharSet::Contains(char32_t character) const {
  return std::any_of(ranges_.begin(), ranges_.end(), [character](const CodePointRange& range) {
    return range.first <= character && character <= range.last;
  });
}

CharSet CharSet::Complement() const { return CharSet(Gaps(ranges_)); }

CharSet CharSet::Union(const CharSet& other) const {
  std::vector<CodePointRange> ranges = ranges_;
  ranges.insert(ranges.end(), other.ranges_.begin(), other.ranges_.end());
  return CharSet(std::move(ranges));
}

CharSet CharSet::Intersection(const CharSet& other) const {
  return Complement().Union(other.Complement()).Complement();
}

}  // namespace forge
