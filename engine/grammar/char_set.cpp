#include "engine/grammar/char_set.h"

#include <algorithm>

namespace forge {
namespace {

// All but the surrogates.
constexpr CodePointRange kCharacters[] = {{0, 0xd7ff}, {0xe000, kMaxCodePoint}};

// Makes the ranges ascend, without two that touch.
void Merge(std::vector<CodePointRange>& ranges) {
  std::sort(ranges.begin(), ranges.end(),
            [](const CodePointRange& a, const CodePointRange& b) { return a.first < b.first; });
  size_t n_merged = 0;
  for (const CodePointRange& range : ranges) {
    if (n_merged > 0 && range.first <= ranges[n_merged - 1].last + 1)
      ranges[n_merged - 1].last = std::max(ranges[n_merged - 1].last, range.last);
    else
      ranges[n_merged++] = range;
  }
  ranges.resize(n_merged);
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
  Merge(ranges);
  ranges_.reserve(ranges.size() + 1);
  for (const CodePointRange& range : ranges) {
    for (const CodePointRange& characters : kCharacters) {
      const char32_t first = std::max(range.first, characters.first);
      const char32_t last = std::min(range.last, characters.last);
      if (first <= last) ranges_.push_back({first, last});
    }
  }
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
