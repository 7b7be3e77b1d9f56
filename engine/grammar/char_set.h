#pragma once

#include <string_view>
#include <vector>

namespace forge {

struct CodePointRange {
  char32_t first = 0;
  char32_t last = 0;  // inclusive

  bool operator==(const CodePointRange&) const = default;
};

inline constexpr char32_t kMaxCodePoint = 0x10ffff;

// A set of Unicode characters.
//
// Invariant: the ranges ascend, do not touch each other and hold no surrogates, which no UTF-8 text
// can contain.
class CharSet {
 public:
  CharSet() = default;
  // Takes ranges in any order. REQUIRES: first <= last <= kMaxCodePoint in each.
  explicit CharSet(std::vector<CodePointRange> ranges);
  static CharSet All();
  // The characters of an ASCII text.
  static CharSet Of(std::string_view characters);

  const std::vector<CodePointRange>& ranges() const { return ranges_; }
  bool empty() const { return ranges_.empty(); }
  bool operator==(const CharSet&) const = default;
  bool Contains(char32_t character) const;
  CharSet Complement() const;
  CharSet Union(const CharSet& other) const;
  CharSet Intersection(const CharSet& other) const;

 private:
  std::vector<CodePointRange> ranges_;
};

}  // namespace forge
