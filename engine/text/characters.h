#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

// The Unicode properties that tokenizers ask for, lower case, and the normalisation forms C and D.
namespace forge {

// Classes of a character, as bits; a character may be in several, and in none.
using CharClasses = uint16_t;
enum CharClass : CharClasses {
  kLetter = 1,         // \p{L}
  kUpper = 2,          // \p{Lu} and \p{Lt}
  kLower = 4,          // \p{Ll}
  kMark = 8,           // \p{M}
  kNumber = 16,        // \p{N}
  kSpace = 32,         // \s: the property White_Space
  kNewline = 64,       // carriage return and line feed
  kPunctuation = 128,  // \p{P} and the symbols $ + < = > ^ ~ |
  kSymbol = 256,       // \p{S}
  kDigit = 512         // \p{Nd}
};

struct Char {
  char32_t code_point;
  uint8_t size;         // bytes, >= 1
  CharClasses classes;  // of CharClass

  bool Is(CharClasses any_of) const { return (classes & any_of) != 0; }
};

namespace internal {

constexpr CharClasses AsciiClasses(uint8_t c) {
  if (c == '\r' || c == '\n') return kSpace | kNewline;
  if (c == ' ' || (c >= '\t' && c <= '\r')) return kSpace;
  if (c >= '0' && c <= '9') return kNumber | kDigit;
  if (c >= 'A' && c <= 'Z') return kLetter | kUpper;
  if (c >= 'a' && c <= 'z') return kLetter | kLower;
  if (c == '`') return kSymbol;
  if (c <= ' ' || c >= 0x7f) return 0;
  const bool is_symbol =
      c == '$' || c == '+' || (c >= '<' && c <= '>') || c == '^' || c == '|' || c == '~';
  return is_symbol ? kPunctuation | kSymbol : kPunctuation;
}

constexpr std::array<CharClasses, 128> MakeAsciiClasses() {
  std::array<CharClasses, 128> classes{};
  for (uint8_t c = 0; c < classes.size(); ++c) classes[c] = AsciiClasses(c);
  return classes;
}

inline constexpr std::array<CharClasses, 128> kAsciiClasses = MakeAsciiClasses();

Char NonAsciiCharAt(std::string_view text, size_t position);

}  // namespace internal

// The character at `position`. A byte that starts no well-formed character is one of its own, of no
// class. REQUIRES: position < text.size().
inline Char CharAt(std::string_view text, size_t position) {
  const auto byte = static_cast<uint8_t>(text[position]);
  if (byte < 0x80) return {byte, 1, internal::kAsciiClasses[byte]};
  return internal::NonAsciiCharAt(text, position);
}

// Puts text into normalisation form C. Bytes that are not UTF-8 stay as they are and separate what
// is normalised. Takes O(n log n) on any input.
std::string NormalizeNfc(std::string_view text);

// The same for normalisation form D, which takes characters apart and leaves accents on their own.
std::string NormalizeNfd(std::string_view text);

// True if every character of the text is one that form C leaves alone beside any other such; false
// says nothing. Much faster than NormalizeNfc.
bool IsCertainlyNfc(std::string_view text);

// \p{Mn}: marks that are written onto the character before them, as most accents are.
bool IsNonspacingMark(char32_t c);

// \p{Cc}, \p{Cf}, \p{Co}: line breaks, joiners and private characters, but nothing unassigned.
bool IsControl(char32_t c);

// The character in lower case, which is two characters for U+0130 and at most one for any other.
void AppendLowerCase(char32_t c, std::string& out);

}  // namespace forge
