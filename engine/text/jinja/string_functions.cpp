#include "engine/text/jinja/string_functions.h"

#include <utf8proc.h>

#include <algorithm>

#include "engine/text/characters.h"
#include "engine/text/utf8.h"

namespace forge::jinja {
namespace {

constexpr char32_t kSharpS = 0xdf;

bool IsUpper(char32_t c) {
  const auto category = utf8proc_category(static_cast<utf8proc_int32_t>(c));
  return category == UTF8PROC_CATEGORY_LU || category == UTF8PROC_CATEGORY_LT;
}

bool IsLower(char32_t c) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(c)) == UTF8PROC_CATEGORY_LL;
}

void AppendCased(char32_t c, bool upper, bool begins_word, std::string& out) {
  if (upper && c == kSharpS) {
    out += begins_word ? "Ss" : "SS";
    return;
  }
  const auto point = static_cast<utf8proc_int32_t>(c);
  AppendUtf8(static_cast<char32_t>(!upper        ? utf8proc_tolower(point)
                                   : begins_word ? utf8proc_totitle(point)
                                                 : utf8proc_toupper(point)),
             out);
}

bool IsLineBreak(char32_t c) {
  return (c >= '\n' && c <= '\r') || (c >= 0x1c && c <= 0x1e) || c == 0x85 || c == 0x2028 ||
         c == 0x2029;
}

bool Passes(const Char& c, CharTest test) {
  const auto category = utf8proc_category(static_cast<utf8proc_int32_t>(c.code_point));
  const bool is_number = c.Is(kNumber);
  switch (test) {
    case CharTest::kDecimal:
      return category == UTF8PROC_CATEGORY_ND;
    case CharTest::kDigit:
      // Superscripts and circled digits count as digits, but are not decimal.
      return category == UTF8PROC_CATEGORY_ND ||
             (category == UTF8PROC_CATEGORY_NO &&
              (c.code_point == 0xb2 || c.code_point == 0xb3 || c.code_point == 0xb9 ||
               c.code_point == 0x2070 || (c.code_point >= 0x2074 && c.code_point <= 0x2089)));
    case CharTest::kNumeric:
      return is_number;
    case CharTest::kAlpha:
      return c.Is(kLetter);
    case CharTest::kAlnum:
      return c.Is(kLetter) || is_number;
    case CharTest::kSpace:
      break;
  }
  return IsSpace(c.code_point);
}

}  // namespace

Text Strip(const Text& text, const std::string* chars, bool left, bool right, Budget& budget) {
  budget.Spend(text.bytes.size());
  if (chars == nullptr) {
    const std::string_view stripped = StripSpace(text.bytes, left, right);
    return Part(text, static_cast<size_t>(stripped.data() - text.bytes.data()), stripped.size(),
                budget);
  }
  std::vector<char32_t> set;
  for (size_t i = 0; i < chars->size() && budget.Allocate(sizeof(char32_t));) {
    const Utf8Step step = DecodeUtf8(*chars, i);
    set.push_back(step.code_point);
    i += step.size;
  }
  std::sort(set.begin(), set.end());
  size_t begin = text.bytes.size();
  size_t end = 0;
  for (size_t i = 0; i < text.bytes.size();) {
    const Utf8Step step = DecodeUtf8(text.bytes, i);
    if (!std::binary_search(set.begin(), set.end(), step.code_point)) {
      begin = std::min(begin, i);
      end = i + step.size;
    }
    i += step.size;
  }
  if (begin >= end) return Text();
  if (!left) begin = 0;
  if (!right) end = text.bytes.size();
  return Part(text, begin, end - begin, budget);
}

Text Replace(const Text& text, const std::string& from, const Text& to, int64_t max_count,
             Budget& budget) {
  TextBuilder out(budget);
  const std::string& bytes = text.bytes;
  budget.Spend(bytes.size());
  size_t begin = 0;
  for (int64_t n = 0; (max_count < 0 || n < max_count) && !budget.exhausted(); ++n) {
    if (from.empty()) {  // before each character, and at the end
      out.Append(to);
      if (begin >= bytes.size()) return out.Take();
      const size_t size = CharSize(bytes, begin);
      out.Append(text, begin, size);
      begin += size;
      continue;
    }
    const size_t found = Find(bytes, from, begin);
    if (found == std::string_view::npos) break;
    out.Append(text, begin, found - begin);
    out.Append(to);
    begin = found + from.size();
  }
  out.Append(text, begin, bytes.size() - begin);
  return out.Take();
}

std::vector<Text> SplitLines(const Text& text, bool keep_ends, Budget& budget) {
  std::vector<Text> lines;
  const std::string& bytes = text.bytes;
  size_t begin = 0;
  for (size_t i = 0; i < bytes.size() && !budget.exhausted();) {
    const Utf8Step step = DecodeUtf8(bytes, i);
    size_t next = i + step.size;
    if (IsLineBreak(step.code_point)) {
      if (bytes[i] == '\r' && next < bytes.size() && bytes[next] == '\n') ++next;
      lines.push_back(Part(text, begin, (keep_ends ? next : i) - begin, budget));
      begin = next;
    }
    i = next;
  }
  if (begin < bytes.size()) lines.push_back(Part(text, begin, bytes.size() - begin, budget));
  return lines;
}

Text ChangeCase(const Text& text, Case to, Budget& budget) {
  TextBuilder out(budget);
  bool begins_word = true;
  std::string cased;
  for (size_t i = 0; i < text.bytes.size() && !budget.exhausted();) {
    const Utf8Step step = DecodeUtf8(text.bytes, i);
    const char32_t c = step.code_point;
    const bool is_upper = IsUpper(c);
    bool upper = to == Case::kUpper;
    if (to == Case::kSwapped) upper = !is_upper;
    if (to == Case::kCapitalized || to == Case::kTitle || to == Case::kTitleFilter)
      upper = begins_word;
    cased.clear();
    AppendCased(c, upper, begins_word && to != Case::kUpper && to != Case::kSwapped, cased);
    out.Append(cased, text.IsLiteral(i));
    if (to == Case::kCapitalized) begins_word = false;
    if (to == Case::kTitle) begins_word = !is_upper && !IsLower(c);
    if (to == Case::kTitleFilter)
      begins_word = IsSpace(c) || c == '-' || c == '(' || c == '{' || c == '[' || c == '<';
    i += step.size;
  }
  return out.Take();
}

bool AllAre(std::string_view text, CharTest test) {
  for (size_t i = 0; i < text.size();) {
    const Char c = CharAt(text, i);
    if (!Passes(c, test)) return false;
    i += c.size;
  }
  return !text.empty();
}

bool IsCased(std::string_view text, bool upper) {
  bool any = false;
  for (size_t i = 0; i < text.size();) {
    const Char c = CharAt(text, i);
    if (upper ? IsLower(c.code_point) : IsUpper(c.code_point)) return false;
    any = any || (upper ? IsUpper(c.code_point) : IsLower(c.code_point));
    i += c.size;
  }
  return any;
}

}  // namespace forge::jinja
