#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace forge {

// One step through bytes that may not be UTF-8.
struct Utf8Step {
  enum class Kind : uint8_t {
    kCharacter,  // a well-formed character of `size` bytes
    kInvalid,    // `size` bytes that no following byte can make well-formed
    kTruncated,  // the text ends within what may still become a character
  };
  char32_t code_point = 0;  // U+FFFD unless kCharacter
  uint8_t size = 0;         // >= 1
  Kind kind = Kind::kInvalid;
};

// Decodes what starts at `position`: RFC 3629, without overlong forms, surrogates and code points
// above U+10FFFF. Invalid bytes are grouped as Unicode recommends ("maximal subpart"), so that one
// U+FFFD stands for each step. REQUIRES: position < text.size().
Utf8Step DecodeUtf8(std::string_view text, size_t position);

// REQUIRES: a code point that is no surrogate and at most U+10FFFF.
void AppendUtf8(char32_t code_point, std::string& text);

}  // namespace forge
