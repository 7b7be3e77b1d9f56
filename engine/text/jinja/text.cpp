#include "engine/text/jinja/text.h"

#include <algorithm>
#include <cstring>

#include "engine/text/characters.h"
#include "engine/text/utf8.h"

namespace forge::jinja {

bool Text::IsLiteral(size_t i) const {
  const auto after = std::upper_bound(literal.begin(), literal.end(), i,
                                      [](size_t at, const ByteRange& r) { return at < r.end; });
  return after != literal.end() && after->begin <= i;
}

void TextBuilder::Append(std::string_view bytes, bool is_literal) {
  if (bytes.empty() || !budget_.Allocate(bytes.size())) return;
  const size_t begin = text_.bytes.size();
  text_.bytes += bytes;
  if (!is_literal) return;
  if (!text_.literal.empty() && text_.literal.back().end == begin) {
    text_.literal.back().end = text_.bytes.size();
  } else if (budget_.Allocate(sizeof(ByteRange))) {
    text_.literal.push_back({begin, text_.bytes.size()});
  }
}

void TextBuilder::Append(const Text& text, size_t begin, size_t size) {
  const std::string_view bytes = text.bytes;
  const size_t end = begin + size;
  auto range = std::upper_bound(text.literal.begin(), text.literal.end(), begin,
                                [](size_t at, const ByteRange& r) { return at < r.end; });
  while (begin < end && !budget_.exhausted()) {
    if (range == text.literal.end() || range->begin >= end) {
      Append(bytes.substr(begin, end - begin), false);
      return;
    }
    if (begin < range->begin) Append(bytes.substr(begin, range->begin - begin), false);
    begin = std::max(begin, range->begin);
    const size_t stop = std::min(end, range->end);
    Append(bytes.substr(begin, stop - begin), true);
    begin = stop;
    ++range;
  }
}

Text Part(const Text& text, size_t begin, size_t size, Budget& budget) {
  TextBuilder builder(budget);
  builder.Append(text, begin, size);
  return builder.Take();
}

size_t CharSize(std::string_view text, size_t position) {
  return static_cast<uint8_t>(text[position]) < 0x80 ? 1 : DecodeUtf8(text, position).size;
}

size_t CountChars(std::string_view text) {
  size_t n = 0;
  for (size_t i = 0; i < text.size(); i += CharSize(text, i)) ++n;
  return n;
}

size_t CharOffset(std::string_view text, size_t index) {
  size_t i = 0;
  for (; index > 0 && i < text.size(); --index) i += CharSize(text, i);
  return i;
}

bool IsSpace(char32_t code_point) {
  if (code_point < 0x80)
    return code_point == ' ' || (code_point >= '\t' && code_point <= '\r') ||
           (code_point >= 0x1c && code_point <= 0x1f);
  std::string text;
  AppendUtf8(code_point, text);
  return CharAt(text, 0).Is(kSpace);
}

std::string_view StripSpace(std::string_view text, bool left, bool right) {
  size_t begin = text.size();
  size_t end = 0;
  for (size_t i = 0; i < text.size();) {
    const Char c = CharAt(text, i);
    const bool is_space = c.Is(kSpace) || (c.code_point >= 0x1c && c.code_point <= 0x1f);
    if (!is_space) {
      begin = std::min(begin, i);
      end = i + c.size;
    }
    i += c.size;
  }
  if (begin >= end) return text.substr(left ? text.size() : 0, 0);
  if (!left) begin = 0;
  if (!right) end = text.size();
  return text.substr(begin, end - begin);
}

size_t Find(std::string_view text, std::string_view part, size_t begin) {
  if (begin > text.size()) return std::string_view::npos;
  if (part.empty()) return begin;
  const void* const found =
      memmem(text.data() + begin, text.size() - begin, part.data(), part.size());
  return found == nullptr ? std::string_view::npos
                          : static_cast<size_t>(static_cast<const char*>(found) - text.data());
}

}  // namespace forge::jinja
