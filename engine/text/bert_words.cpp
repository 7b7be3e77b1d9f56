#include "engine/text/bert_words.h"

#include <algorithm>
#include <string>

#include "engine/text/characters.h"
#include "engine/text/utf8.h"

namespace forge {
namespace {

using Visit = std::function<void(std::string_view)>;

// The blocks that upstream calls Chinese, from U+2B920 and not U+2B820 on in Extension E, as there.
bool IsChinese(char32_t c) {
  return (c >= 0x4e00 && c <= 0x9fff) || (c >= 0x3400 && c <= 0x4dbf) ||
         (c >= 0x20000 && c <= 0x2a6df) || (c >= 0x2a700 && c <= 0x2b73f) ||
         (c >= 0x2b740 && c <= 0x2b81f) || (c >= 0x2b920 && c <= 0x2ceaf) ||
         (c >= 0xf900 && c <= 0xfaff) || (c >= 0x2f800 && c <= 0x2fa1f);
}

// Of the control characters, only these three separate words.
bool IsLeftOut(const Char& c) {
  constexpr char32_t kReplacement = 0xfffd;  // CharAt gives it for a byte that is not UTF-8
  if (c.code_point == '\t' || c.code_point == '\n' || c.code_point == '\r') return false;
  return c.code_point == kReplacement || IsControl(c.code_point);
}

bool IsPunctuation(const Char& c) {
  return c.Is(kPunctuation) || (c.size == 1 && c.Is(kSymbol));  // "`" alone is in the second only
}

void MakeLowerCaseAscii(std::string& text) {
  std::ranges::transform(text, text.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
}

std::string Normalized(std::string_view text, BertNormalization normalization) {
  const std::string decomposed = normalization.strip_accents ? NormalizeNfd(text) : std::string();
  const std::string_view source = normalization.strip_accents ? decomposed : text;
  std::string normalized;
  normalized.reserve(source.size());
  for (size_t at = 0; at < source.size();) {
    const Utf8Step step = DecodeUtf8(source, at);
    if (normalization.strip_accents && IsNonspacingMark(step.code_point)) {
      // left out
    } else if (normalization.lower_case) {
      AppendLowerCase(step.code_point, normalized);
    } else {
      normalized += source.substr(at, step.size);
    }
    at += step.size;
  }
  return normalized;
}

// The words of a text without white space.
void SplitAtPunctuation(std::string_view text, const Visit& visit) {
  size_t begin = 0;
  for (size_t at = 0; at < text.size();) {
    const Char c = CharAt(text, at);
    if (IsPunctuation(c)) {
      if (begin < at) visit(text.substr(begin, at - begin));
      visit(text.substr(at, c.size));
      begin = at + c.size;
    }
    at += c.size;
  }
  if (begin < text.size()) visit(text.substr(begin));
}

// REQUIRES: valid UTF-8 without white space.
void SplitStretch(std::string& stretch, BertNormalization normalization, const Visit& visit) {
  const bool is_ascii =
      std::ranges::none_of(stretch, [](char c) { return static_cast<uint8_t>(c) >= 0x80; });
  if (!is_ascii) {
    stretch = Normalized(stretch, normalization);
  } else if (normalization.lower_case) {
    MakeLowerCaseAscii(stretch);
  }
  SplitAtPunctuation(stretch, visit);
  stretch.clear();
}

}  // namespace

void ForEachBertWord(std::string_view text, BertNormalization normalization, const Visit& visit) {
  // Normalised at once. What stands beside white space or a Chinese character never joins with it.
  std::string stretch;
  for (size_t at = 0; at < text.size();) {
    const Char c = CharAt(text, at);
    if (IsLeftOut(c)) {
      at += c.size;
      continue;
    }
    const bool is_chinese = c.size > 1 && IsChinese(c.code_point);
    if (is_chinese || c.Is(kSpace)) SplitStretch(stretch, normalization, visit);
    if (!c.Is(kSpace)) stretch += text.substr(at, c.size);
    if (is_chinese) SplitStretch(stretch, normalization, visit);
    at += c.size;
  }
  SplitStretch(stretch, normalization, visit);
}

}  // namespace forge
