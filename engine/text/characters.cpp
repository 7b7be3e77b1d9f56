#include "engine/text/characters.h"

#include <utf8proc.h>

#include <algorithm>
#include <span>
#include <vector>

#include "engine/text/utf8.h"

namespace forge {
namespace {

bool IsWhiteSpace(char32_t c) {
  return c == 0x85 || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 ||
         c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

CharClasses ClassesOf(char32_t c) {
  if (IsWhiteSpace(c)) return kSpace;
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(c))) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LT:
      return kLetter | kUpper;
    case UTF8PROC_CATEGORY_LL:
      return kLetter | kLower;
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
      return kLetter;
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
      return kMark;
    case UTF8PROC_CATEGORY_ND:
      return kNumber | kDigit;
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO:
      return kNumber;
    case UTF8PROC_CATEGORY_PC:
    case UTF8PROC_CATEGORY_PD:
    case UTF8PROC_CATEGORY_PS:
    case UTF8PROC_CATEGORY_PE:
    case UTF8PROC_CATEGORY_PI:
    case UTF8PROC_CATEGORY_PF:
    case UTF8PROC_CATEGORY_PO:
      return kPunctuation;
    case UTF8PROC_CATEGORY_SM:
    case UTF8PROC_CATEGORY_SC:
    case UTF8PROC_CATEGORY_SK:
    case UTF8PROC_CATEGORY_SO:
      return kSymbol;
    default:
      return 0;
  }
}

// True if the character never changes in form C, nor joins with the one before it.
bool IsInertInNfc(char32_t c) {
  constexpr uint16_t kFirstSecondIndex = 0x8000;  // utf8proc: from here on, second of a composition
  if (c >= 0x1100 && c <= 0x11ff) return false;   // Hangul jamo compose by rule
  if (c >= 0xac00 && c <= 0xd7a3) return true;    // Hangul syllables are composed already
  const utf8proc_property_t& property = *utf8proc_get_property(static_cast<utf8proc_int32_t>(c));
  const bool is_second =
      property.comb_index != UINT16_MAX && property.comb_index >= kFirstSecondIndex;
  const bool decomposes = property.decomp_seqindex != UINT16_MAX && property.decomp_type == 0;
  return property.combining_class == 0 && !is_second && !decomposes;
}

// Puts every run of combining characters into canonical order. utf8proc would do it too, but by
// insertion: a text of nothing but combining characters would take quadratic time.
void OrderCombining(std::vector<utf8proc_int32_t>& code_points) {
  const auto combining_class = [](utf8proc_int32_t c) {
    return utf8proc_get_property(c)->combining_class;
  };
  const auto is_starter = [&](utf8proc_int32_t c) { return combining_class(c) == 0; };
  const auto precedes = [&](utf8proc_int32_t a, utf8proc_int32_t b) {
    return combining_class(a) < combining_class(b);
  };
  auto begin = code_points.begin();
  while (begin != code_points.end()) {
    begin = std::find_if_not(begin, code_points.end(), is_starter);
    const auto end = std::find_if(begin, code_points.end(), is_starter);
    std::stable_sort(begin, end, precedes);
    begin = end;
  }
}

// Form D as code points. REQUIRES: `text` is UTF-8.
std::vector<utf8proc_int32_t> Decomposed(std::string_view text) {
  constexpr auto kDecompose = static_cast<utf8proc_option_t>(UTF8PROC_DECOMPOSE | UTF8PROC_STABLE);
  constexpr int kMaxDecomposition =
      32;  // of one character; 18 in Unicode 15, compatibility forms included

  std::vector<utf8proc_int32_t> code_points;
  code_points.reserve(text.size());
  for (size_t i = 0; i < text.size();) {
    const Utf8Step step = DecodeUtf8(text, i);
    utf8proc_int32_t parts[kMaxDecomposition];
    int boundary_class = 0;
    const utf8proc_ssize_t n_parts =
        utf8proc_decompose_char(static_cast<utf8proc_int32_t>(step.code_point), parts,
                                kMaxDecomposition, kDecompose, &boundary_class);
    code_points.insert(code_points.end(), parts, parts + n_parts);
    i += step.size;
  }
  OrderCombining(code_points);
  return code_points;
}

void Append(std::span<const utf8proc_int32_t> code_points, std::string& out) {
  for (const utf8proc_int32_t c : code_points) AppendUtf8(static_cast<char32_t>(c), out);
}

// REQUIRES: `text` is UTF-8.
void AppendNfd(std::string_view text, std::string& out) { Append(Decomposed(text), out); }

// REQUIRES: `text` is UTF-8.
void AppendNfc(std::string_view text, std::string& out) {
  constexpr auto kCompose = static_cast<utf8proc_option_t>(UTF8PROC_COMPOSE | UTF8PROC_STABLE);
  std::vector<utf8proc_int32_t> code_points = Decomposed(text);
  const utf8proc_ssize_t n_composed = utf8proc_normalize_utf32(
      code_points.data(), static_cast<utf8proc_ssize_t>(code_points.size()), kCompose);
  if (n_composed > 0) Append(std::span(code_points).first(static_cast<size_t>(n_composed)), out);
}

// What `append` makes of each run of well-formed characters, and other bytes as they are.
std::string NormalizeRuns(std::string_view text, void (*append)(std::string_view, std::string&)) {
  std::string out;
  out.reserve(text.size());
  size_t run_begin = 0;
  size_t position = 0;
  while (position < text.size()) {
    const Utf8Step step = DecodeUtf8(text, position);
    if (step.kind != Utf8Step::Kind::kCharacter) {
      append(text.substr(run_begin, position - run_begin), out);
      out += text.substr(position, step.size);
      run_begin = position + step.size;
    }
    position += step.size;
  }
  append(text.substr(run_begin), out);
  return out;
}

}  // namespace

Char internal::NonAsciiCharAt(std::string_view text, size_t position) {
  const Utf8Step step = DecodeUtf8(text, position);
  if (step.kind != Utf8Step::Kind::kCharacter) return {step.code_point, 1, 0};
  return {step.code_point, step.size, ClassesOf(step.code_point)};
}

bool IsCertainlyNfc(std::string_view text) {
  constexpr uint8_t kLeadOfU0300 = 0xcc;  // below U+0300 nothing combines with what precedes it
  for (size_t i = 0; i < text.size();) {
    if (static_cast<uint8_t>(text[i]) < kLeadOfU0300) {
      ++i;
      continue;
    }
    const Utf8Step step = DecodeUtf8(text, i);
    if (!IsInertInNfc(step.code_point)) return false;
    i += step.size;
  }
  return true;
}

std::string NormalizeNfc(std::string_view text) { return NormalizeRuns(text, AppendNfc); }

std::string NormalizeNfd(std::string_view text) { return NormalizeRuns(text, AppendNfd); }

bool IsNonspacingMark(char32_t c) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(c)) == UTF8PROC_CATEGORY_MN;
}

bool IsControl(char32_t c) {
  const utf8proc_category_t category = utf8proc_category(static_cast<utf8proc_int32_t>(c));
  return category == UTF8PROC_CATEGORY_CC || category == UTF8PROC_CATEGORY_CF ||
         category == UTF8PROC_CATEGORY_CO;
}

void AppendLowerCase(char32_t c, std::string& out) {
  constexpr char32_t kCapitalIWithDot = 0x130;
  if (c == kCapitalIWithDot) {
    out += "i\u0307";
    return;
  }
  AppendUtf8(static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c))), out);
}

}  // namespace forge
