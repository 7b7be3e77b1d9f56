#pragma once

#include <cstddef>
#include <limits>
#include <string_view>

#include "engine/text/characters.h"

// The parts that the expressions of pre-tokenizers share. Each takes time that is linear in what it
// passes over.
namespace forge {

inline constexpr size_t kNoLimit = std::numeric_limits<size_t>::max();

// True for a character of `any_of` that is in none of `none_of`.
inline bool Matches(const Char& c, CharClasses any_of, CharClasses none_of = 0) {
  return c.Is(any_of) && !c.Is(none_of);
}

// The end of the longest run from `begin` of characters for which `belongs` holds.
template <typename Predicate>
size_t RunEnd(std::string_view text, size_t begin, const Predicate& belongs,
              size_t max_chars = kNoLimit) {
  size_t end = begin;
  for (size_t n = 0; end < text.size() && n < max_chars; ++n) {
    const Char c = CharAt(text, end);
    if (!belongs(c)) break;
    end += c.size;
  }
  return end;
}

inline size_t RunEndOf(std::string_view text, size_t begin, CharClasses any_of,
                       size_t max_chars = kNoLimit) {
  return RunEnd(
      text, begin, [any_of](const Char& c) { return c.Is(any_of); }, max_chars);
}

// [^\s\p{L}\p{N}]
inline bool IsSymbol(const Char& c) { return !c.Is(kSpace | kLetter | kNumber); }

// The length of 's 't 're 've 'm 'll 'd at `begin`, 0 if there is none. U+017F, the long s, is an s
// where case is ignored.
inline size_t ContractionLength(std::string_view text, size_t begin, bool ignore_case) {
  const auto at = [&](size_t i) -> char {
    if (begin + i >= text.size()) return '\0';
    const char c = text[begin + i];
    return ignore_case && c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  };
  if (at(0) != '\'') return 0;
  switch (at(1)) {
    case 's':
    case 't':
    case 'm':
    case 'd':
      return 2;
    case 'r':
    case 'v':
      return at(2) == 'e' ? 3 : 0;
    case 'l':
      return at(2) == 'l' ? 3 : 0;
    default:
      return ignore_case && text.substr(begin + 1, 2) == "\xc5\xbf" ? 3 : 0;
  }
}

// \s+(?!\S)|\s+ : a run of spaces, but not the last one before something else. A character of
// `barrier` counts as the end of the text. REQUIRES: a space at `begin`.
inline size_t SpacesEnd(std::string_view text, size_t begin, CharClasses barrier = 0) {
  size_t last = begin;  // start of the last space of the run
  size_t end = begin;
  while (end < text.size()) {
    const Char c = CharAt(text, end);
    if (!Matches(c, kSpace, barrier)) break;
    last = end;
    end += c.size;
  }
  const bool at_end = end == text.size() || CharAt(text, end).Is(barrier);
  return at_end || last == begin ? end : last;
}

// \s*[\r\n]+ : up to the last line break of a run of spaces; `begin` if the run has none.
inline size_t LineBreaksEnd(std::string_view text, size_t begin) {
  size_t after_newline = begin;
  for (size_t i = begin; i < text.size();) {
    const Char c = CharAt(text, i);
    if (!c.Is(kSpace)) break;
    i += c.size;
    if (c.Is(kNewline)) after_newline = i;
  }
  return after_newline;
}

// 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
// within a stretch of text that ends before the next character of `barrier`.
inline size_t Gpt2PieceEndUpTo(std::string_view text, size_t begin, CharClasses barrier) {
  if (const size_t length = ContractionLength(text, begin, false)) return begin + length;
  const size_t first = begin + (text[begin] == ' ' ? 1 : 0);
  if (first < text.size()) {
    const Char c = CharAt(text, first);
    const auto run_of = [&](CharClasses classes) {
      return RunEnd(text, first, [&](const Char& x) { return Matches(x, classes, barrier); });
    };
    if (Matches(c, kLetter, barrier)) return run_of(kLetter);
    if (Matches(c, kNumber, barrier)) return run_of(kNumber);
    if (IsSymbol(c) && !c.Is(barrier))
      return RunEnd(text, first, [&](const Char& x) { return IsSymbol(x) && !x.Is(barrier); });
  }
  return SpacesEnd(text, begin, barrier);
}

inline size_t Gpt2PieceEnd(std::string_view text, size_t begin) {
  return Gpt2PieceEndUpTo(text, begin, 0);
}

}  // namespace forge
