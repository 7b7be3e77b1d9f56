#pragma once

#include <string>
#include <string_view>

namespace forge {

// True if `text` is UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, at most U+10FFFF.
bool IsValidUtf8(std::string_view text);

// `text` with each maximal run of bytes that cannot belong to a character replaced by U+FFFD, so
// that it may go into a protobuf string.
std::string SanitizeUtf8(std::string_view text);

// The longest prefix of valid UTF-8 `text` of at most `max_bytes` that ends with a whole character.
std::string_view TruncateUtf8(std::string_view text, size_t max_bytes);

// True if `text` holds a control character of ASCII, NUL included.
bool HasControlCharacter(std::string_view text);

}  // namespace forge
