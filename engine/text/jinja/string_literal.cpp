#include "engine/text/jinja/string_literal.h"

#include <charconv>

#include "engine/text/utf8.h"

namespace forge::jinja {
namespace {

constexpr char32_t kReplacement = 0xfffd;

// The value of exactly `n_digits` hexadecimal digits at `begin`.
std::optional<char32_t> Hex(std::string_view text, size_t begin, size_t n_digits) {
  if (begin + n_digits > text.size()) return std::nullopt;
  uint32_t value = 0;
  const char* const first = text.data() + begin;
  const auto [end, error] = std::from_chars(first, first + n_digits, value, 16);
  if (error != std::errc() || end != first + n_digits) return std::nullopt;
  return value;
}

char SimpleEscape(char c) {
  switch (c) {
    case 'n':
      return '\n';
    case 't':
      return '\t';
    case 'r':
      return '\r';
    case 'a':
      return '\a';
    case 'b':
      return '\b';
    case 'f':
      return '\f';
    case 'v':
      return '\v';
    case '\\':
    case '\'':
    case '"':
      return c;
    default:
      return '\0';
  }
}

size_t DigitsOf(char kind) { return kind == 'x' ? 2 : kind == 'u' ? 4 : kind == 'U' ? 8 : 0; }

// Appends the character of a numeric escape whose digits start at `i`; returns where it ends.
std::optional<size_t> AppendNumeric(std::string_view inner, size_t i, size_t n_digits,
                                    std::string& text) {
  std::optional<char32_t> value = Hex(inner, i, n_digits);
  if (!value || *value > 0x10ffff) return std::nullopt;
  i += n_digits;
  if (*value >= 0xd800 && *value < 0xdc00 && inner.substr(i, 2) == "\\u") {
    const std::optional<char32_t> low = Hex(inner, i + 2, 4);
    if (low && *low >= 0xdc00 && *low < 0xe000) {
      value = 0x10000 + ((*value - 0xd800) << 10) + (*low - 0xdc00);
      i += 6;
    }
  }
  AppendUtf8(*value >= 0xd800 && *value < 0xe000 ? kReplacement : *value, text);
  return i;
}

size_t AppendOctal(std::string_view inner, size_t i, std::string& text) {
  char32_t value = 0;
  for (size_t n = 0; n < 3 && i < inner.size() && inner[i] >= '0' && inner[i] <= '7'; ++n, ++i)
    value = value * 8 + static_cast<char32_t>(inner[i] - '0');
  AppendUtf8(value, text);
  return i;
}

}  // namespace

std::optional<std::string> UnescapeString(std::string_view inner) {
  std::string text;
  for (size_t i = 0; i < inner.size();) {
    if (inner[i] != '\\') {
      text.push_back(inner[i++]);
      continue;
    }
    if (i + 1 >= inner.size()) return std::nullopt;
    const char kind = inner[i + 1];
    if (const char simple = SimpleEscape(kind); simple != '\0') {
      text.push_back(simple);
      i += 2;
    } else if (const size_t n_digits = DigitsOf(kind); n_digits > 0) {
      const std::optional<size_t> end = AppendNumeric(inner, i + 2, n_digits, text);
      if (!end) return std::nullopt;
      i = *end;
    } else if (kind >= '0' && kind <= '7') {
      i = AppendOctal(inner, i + 1, text);
    } else if (kind == 'N') {
      return std::nullopt;  // names of characters
    } else {
      if (kind != '\n') text.append({'\\', kind});
      i += 2;
    }
  }
  return text;
}

}  // namespace forge::jinja
