#include "engine/text/pre_tokenizer_stages.h"

#include <algorithm>
#include <utility>

#include "engine/text/character_runs.h"

namespace forge {
namespace {

constexpr CharClasses kLetterOrMark = kLetter | kMark;

struct CodePoints {
  char32_t first, last;
};

// REQUIRES: `ranges` are in order.
bool IsIn(std::span<const CodePoints> ranges, char32_t c) {
  const auto range = std::ranges::lower_bound(ranges, c, {}, &CodePoints::last);
  return range != ranges.end() && range->first <= c;
}

// The letters with case that the tokenizer of DeepSeek LLM lists: those of Unicode 11 without
// mathematical ones and a few scripts.
constexpr CodePoints kDeepSeekLetters[] = {
    {0x41, 0x5a},       {0x61, 0x7a},       {0xb5, 0xb5},       {0xc0, 0xd6},
    {0xd8, 0xf6},       {0xf8, 0x1ba},      {0x1bc, 0x1bf},     {0x1c4, 0x293},
    {0x295, 0x2af},     {0x370, 0x373},     {0x376, 0x377},     {0x37b, 0x37d},
    {0x37f, 0x37f},     {0x386, 0x386},     {0x388, 0x38a},     {0x38c, 0x38c},
    {0x38e, 0x3a1},     {0x3a3, 0x3f5},     {0x3f7, 0x481},     {0x48a, 0x52f},
    {0x531, 0x556},     {0x10a0, 0x10c5},   {0x13a0, 0x13f5},   {0x13f8, 0x13fd},
    {0x1c90, 0x1cba},   {0x1cbd, 0x1cbf},   {0x1d00, 0x1d2b},   {0x1d6b, 0x1d77},
    {0x1d79, 0x1d9a},   {0x1e00, 0x1f15},   {0x1f18, 0x1f1d},   {0x1f20, 0x1f45},
    {0x1f48, 0x1f4d},   {0x1f50, 0x1f57},   {0x1f59, 0x1f59},   {0x1f5b, 0x1f5b},
    {0x1f5d, 0x1f5d},   {0x1f5f, 0x1f7d},   {0x1f80, 0x1fb4},   {0x1fb6, 0x1fbc},
    {0x1fbe, 0x1fbe},   {0x1fc2, 0x1fc4},   {0x1fc6, 0x1fcc},   {0x1fd0, 0x1fd3},
    {0x1fd6, 0x1fdb},   {0x1fe0, 0x1fec},   {0x1ff2, 0x1ff4},   {0x1ff6, 0x1ffc},
    {0x2102, 0x2102},   {0x2107, 0x2107},   {0x210a, 0x2113},   {0x2115, 0x2115},
    {0x2119, 0x211d},   {0x2124, 0x2124},   {0x2126, 0x2126},   {0x2128, 0x2128},
    {0x212a, 0x212d},   {0x212f, 0x2134},   {0x2139, 0x2139},   {0x213c, 0x213f},
    {0x2145, 0x2149},   {0x214e, 0x214e},   {0x2183, 0x2184},   {0x2c00, 0x2c7b},
    {0x2c7e, 0x2ce4},   {0x2ceb, 0x2cee},   {0x2cf2, 0x2cf3},   {0xa640, 0xa66d},
    {0xa680, 0xa69b},   {0xa722, 0xa76f},   {0xa771, 0xa787},   {0xa78b, 0xa78e},
    {0xab70, 0xabbf},   {0xfb00, 0xfb06},   {0xfb13, 0xfb17},   {0xff21, 0xff3a},
    {0xff41, 0xff5a},   {0x10400, 0x1044f}, {0x104b0, 0x104d3}, {0x104d8, 0x104fb},
    {0x10c80, 0x10cb2}, {0x10cc0, 0x10cf2}, {0x118a0, 0x118df}, {0x1e900, 0x1e943}};

// [!-/:-~ and their full-width forms, U+2018 to U+201F, U+3000 to U+3002]
constexpr CodePoints kDeepSeekPunctuation[] = {{0x21, 0x2f},     {0x3a, 0x7e},
                                               {0x2018, 0x201f}, {0x3000, 0x3002},
                                               {0xff01, 0xff0f}, {0xff1a, 0xff5e}};

// U+0800 to U+9FA5 and U+AC00 to U+D7FF, as the tokenizer's file has it: most of the scripts of
// Asia, but also other letters and spaces.
constexpr CodePoints kDeepSeekAsian[] = {{0x800, 0x9fa5}, {0xac00, 0xd7ff}};
// Chinese, Hiragana, Katakana
constexpr CodePoints kDeepSeekV3Asian[] = {{0x3040, 0x30ff}, {0x4e00, 0x9fa5}};

// Youtu's classes, of which each makes runs of its own: Hangul; punctuation of East Asia; Bopomofo;
// Chinese, Hiragana and Katakana.
constexpr CodePoints kHangul[] = {{0x3131, 0x318e}, {0xac00, 0xd7a3}};
constexpr CodePoints kEastAsianPunctuation[] = {
    {0x2014, 0x2014}, {0x2018, 0x2019}, {0x201c, 0x201d}, {0x2026, 0x2026}, {0x3001, 0x303f},
    {0xfe30, 0xfe4f}, {0xff01, 0xff01}, {0xff0c, 0xff0c}, {0xff1a, 0xff1b}};
constexpr CodePoints kBopomofo[] = {{0x3105, 0x312f}};
constexpr std::span<const CodePoints> kEastAsianClasses[] = {kHangul, kEastAsianPunctuation,
                                                             kBopomofo, kDeepSeekV3Asian};

// Script=Han of Unicode's Scripts.txt, 15.0.
constexpr CodePoints kChinese[] = {{0x2e80, 0x2e99},   {0x2e9b, 0x2ef3},   {0x2f00, 0x2fd5},
                                   {0x3005, 0x3005},   {0x3007, 0x3007},   {0x3021, 0x3029},
                                   {0x3038, 0x303b},   {0x3400, 0x4dbf},   {0x4e00, 0x9fff},
                                   {0xf900, 0xfa6d},   {0xfa70, 0xfad9},   {0x16fe2, 0x16fe3},
                                   {0x16ff0, 0x16ff1}, {0x20000, 0x2a6df}, {0x2a700, 0x2b739},
                                   {0x2b740, 0x2b81d}, {0x2b820, 0x2cea1}, {0x2ceb0, 0x2ebe0},
                                   {0x2f800, 0x2fa1d}, {0x30000, 0x3134a}, {0x31350, 0x323af}};

// The characters that a piece of Bloom's does not have, spaces apart.
constexpr CodePoints kBloomBreaks[] = {{'!', '!'},       {'(', ')'},       {',', ','},
                                       {'.', '.'},       {'?', '?'},       {'|', '|'},
                                       {0x60c, 0x60c},   {0x6d4, 0x6d4},   {0x964, 0x964},
                                       {0x2026, 0x2026}, {0x3001, 0x3002}, {0xff0c, 0xff0c}};

// X{1,max_chars} for a class X.
template <typename Predicate>
PieceMatch FindRun(std::string_view text, size_t from, const Predicate& belongs,
                   size_t max_chars = kNoLimit) {
  const size_t begin = RunEnd(text, from, [&](const Char& c) { return !belongs(c); });
  return {begin, RunEnd(text, begin, belongs, max_chars)};
}

// S?X+ for a class S, of which one may go before the run, and a class X.
template <typename IsPrefix, typename Predicate>
PieceMatch FindPrefixedRun(std::string_view text, size_t from, const IsPrefix& is_prefix,
                           const Predicate& belongs) {
  size_t begin = from;
  for (size_t i = from; i < text.size();) {
    const Char c = CharAt(text, i);
    if (belongs(c)) return {begin, RunEnd(text, i, belongs)};
    const bool is_next_prefix = is_prefix(c);
    begin = is_next_prefix ? i : i + c.size;
    i += c.size;
  }
  return {text.size(), text.size()};
}

bool IsSpace(const Char& c) { return c.Is(kSpace); }
bool IsNumber(const Char& c) { return c.Is(kNumber); }
bool IsAsciiLetter(const Char& c) { return c.size == 1 && c.Is(kLetter); }
// \p{P}
bool IsPunctuation(const Char& c) { return Matches(c, kPunctuation, kSymbol); }

// [\r\n]
PieceMatch FindLineBreak(std::string_view text, size_t from) {
  return FindRun(
      text, from, [](const Char& c) { return c.Is(kNewline); }, 1);
}

// \p{N}
PieceMatch FindNumber(std::string_view text, size_t from) {
  return FindRun(text, from, IsNumber, 1);
}

// \p{N}+
PieceMatch FindNumbers(std::string_view text, size_t from) { return FindRun(text, from, IsNumber); }

// \w: letters, marks, digits and \p{Pc}.
bool IsOfWord(const Char& c) {
  static constexpr CodePoints kConnectors[] = {{0x5f, 0x5f},     {0x203f, 0x2040},
                                               {0x2054, 0x2054}, {0xfe33, 0xfe34},
                                               {0xfe4d, 0xfe4f}, {0xff3f, 0xff3f}};
  return c.Is(kLetterOrMark | kDigit) || IsIn(kConnectors, c.code_point);
}

// True if the characters before and at `position` are digits.
bool StartsInRunOfDigits(std::string_view text, size_t position) {
  size_t before = position - 1;
  while (before > 0 && (static_cast<uint8_t>(text[before]) & 0xc0) == 0x80) --before;
  const Char c = CharAt(text, before);
  return c.Is(kDigit) && before + c.size == position && CharAt(text, position).Is(kDigit);
}

// [0-9][0-9][0-9]
PieceMatch FindThreeDigits(std::string_view text, size_t from) {
  size_t n_digits = 0;
  for (size_t i = from; i < text.size(); ++i) {
    n_digits = text[i] >= '0' && text[i] <= '9' ? n_digits + 1 : 0;
    if (n_digits == 3) return {i - 2, i + 1};
  }
  return {text.size(), text.size()};
}

// (?=(\d{3})+(?!\d)) : an empty match wherever a multiple of three digits is left of a run, but at
// `from` itself, where a piece begins anyway.
PieceMatch FindDigitGroup(std::string_view text, size_t from) {
  const auto is_digit = [](const Char& c) { return c.Is(kDigit); };
  size_t run = from;
  // Inside of a run a piece begins at a group only, and what is left need not be counted again.
  if (from > 0 && StartsInRunOfDigits(text, from)) {
    const size_t next = RunEnd(text, from, is_digit, 3);
    if (next < text.size() && is_digit(CharAt(text, next))) return {next, next};
    run = next;
  }
  while (true) {
    run = RunEnd(text, run, [&](const Char& c) { return !is_digit(c); });
    if (run == text.size()) return {run, run};
    size_t n_digits = 0;
    const size_t run_end =
        RunEnd(text, run, [&](const Char& c) { return is_digit(c) && ++n_digits > 0; });
    const size_t first = RunEnd(text, run, is_digit, n_digits % 3);
    if (n_digits >= 3 && first > from) return {first, first};
    if (n_digits > 3) {
      const size_t next = RunEnd(text, first, is_digit, 3);
      return {next, next};
    }
    run = run_end;
  }
}

PieceMatch FindDeepSeekLetters(std::string_view text, size_t from) {
  return FindPrefixedRun(text, from, IsSpace,
                         [](const Char& c) { return IsIn(kDeepSeekLetters, c.code_point); });
}

PieceMatch FindDeepSeekPunctuation(std::string_view text, size_t from) {
  return FindPrefixedRun(text, from, IsSpace,
                         [](const Char& c) { return IsIn(kDeepSeekPunctuation, c.code_point); });
}

PieceMatch FindDeepSeekAsian(std::string_view text, size_t from) {
  return FindRun(text, from, [](const Char& c) { return IsIn(kDeepSeekAsian, c.code_point); });
}

PieceMatch FindDeepSeekV3Asian(std::string_view text, size_t from) {
  return FindRun(text, from, [](const Char& c) { return IsIn(kDeepSeekV3Asian, c.code_point); });
}

// \s+$
PieceMatch FindTrailingSpaces(std::string_view text, size_t from) {
  size_t begin = from;
  for (size_t i = from; i < text.size();) {
    const Char c = CharAt(text, i);
    i += c.size;
    if (!c.Is(kSpace)) begin = i;
  }
  return {begin, text.size()};
}

// \s?\p{L}+
PieceMatch FindSpacedLetters(std::string_view text, size_t from) {
  return FindPrefixedRun(text, from, IsSpace, [](const Char& c) { return c.Is(kLetter); });
}

// \s?\p{P}+
PieceMatch FindSpacedPunctuation(std::string_view text, size_t from) {
  return FindPrefixedRun(text, from, IsSpace, IsPunctuation);
}

// [!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+
// | ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
// at `begin`; `begin` where there is no match.
size_t DeepSeekV3WordEnd(std::string_view text, size_t begin) {
  const Char c = CharAt(text, begin);
  const size_t second = begin + c.size;
  const bool is_sign = c.Is(kPunctuation | kSymbol);
  if (c.size == 1 && is_sign)
    if (const size_t end = RunEnd(text, second, IsAsciiLetter); end > second) return end;
  if (!is_sign && !c.Is(kNewline | kLetter))
    if (const size_t end = RunEndOf(text, second, kLetterOrMark); end > second) return end;
  if (c.Is(kLetterOrMark)) return RunEndOf(text, begin, kLetterOrMark);
  const size_t first = c.code_point == ' ' ? second : begin;
  if (const size_t end = RunEndOf(text, first, kPunctuation | kSymbol); end > first)
    return RunEndOf(text, end, kNewline);
  if (!c.Is(kSpace)) return begin;
  if (const size_t end = LineBreaksEnd(text, begin); end > begin) return end;
  return SpacesEnd(text, begin);
}

PieceMatch FindDeepSeekV3Word(std::string_view text, size_t from) {
  for (size_t begin = from; begin < text.size(); begin += CharAt(text, begin).size)
    if (const size_t end = DeepSeekV3WordEnd(text, begin); end > begin) return {begin, end};
  return {text.size(), text.size()};
}

// [\p{P}\$\+<=>\^~\|`]+
PieceMatch FindFalconPunctuation(std::string_view text, size_t from) {
  return FindRun(text, from,
                 [](const Char& c) { return c.Is(kPunctuation) || c.code_point == '`'; });
}

PieceMatch FindGpt2Piece(std::string_view text, size_t from) {
  return {from, Gpt2PieceEnd(text, from)};
}

PieceMatch FindBloomPiece(std::string_view text, size_t from) {
  return FindPrefixedRun(
      text, from, [](const Char& c) { return c.code_point == ' '; },
      [](const Char& c) { return !c.Is(kSpace) && !IsIn(kBloomBreaks, c.code_point); });
}

}  // namespace

PieceMatch FindNumbersOfThree(std::string_view text, size_t from) {
  return FindRun(text, from, IsNumber, 3);
}

PieceMatch FindThousands(std::string_view text, size_t from) {
  const auto is_digit = [](const Char& c) { return c.Is(kDigit); };
  // Only behind a match is a piece begun inside of a run, and three times some digits are left.
  if (from > 0 && StartsInRunOfDigits(text, from)) return {from, RunEnd(text, from, is_digit, 3)};
  for (size_t run = from; run < text.size();) {
    run = RunEnd(text, run, [&](const Char& c) { return !is_digit(c); });
    size_t n_digits = 0;
    const size_t end =
        RunEnd(text, run, [&](const Char& c) { return is_digit(c) && ++n_digits > 0; });
    if (end == text.size() || !IsOfWord(CharAt(text, end)))
      return {run, RunEnd(text, run, is_digit, n_digits == 0 ? 0 : (n_digits - 1) % 3 + 1)};
    run = end;
  }
  return {text.size(), text.size()};
}

PieceMatch FindEastAsianRun(std::string_view text, size_t from) {
  for (size_t begin = from; begin < text.size(); begin += CharAt(text, begin).size)
    for (const std::span<const CodePoints> of_class : kEastAsianClasses) {
      const size_t end =
          RunEnd(text, begin, [&](const Char& c) { return IsIn(of_class, c.code_point); });
      if (end > begin) return {begin, end};
    }
  return {text.size(), text.size()};
}

bool IsChinese(const Char& c) { return c.size > 2 && IsIn(kChinese, c.code_point); }

namespace {

constexpr PieceStage kDeepSeekLlm[] = {FindLineBreak,           FindDeepSeekLetters,
                                       FindDeepSeekPunctuation, FindTrailingSpaces,
                                       FindDeepSeekAsian,       FindNumbers};
constexpr PieceStage kDeepSeekCoder[] = {FindLineBreak, FindSpacedLetters, FindSpacedPunctuation,
                                         FindDeepSeekAsian, FindNumber};
constexpr PieceStage kDeepSeekV3[] = {FindNumbersOfThree, FindDeepSeekV3Asian, FindDeepSeekV3Word};
constexpr PieceStage kFalcon[] = {FindFalconPunctuation, FindGpt2Piece, FindThreeDigits};
constexpr PieceStage kBloom[] = {FindBloomPiece};
constexpr PieceStage kViking[] = {FindBloomPiece, FindNumber};
constexpr PieceStage kSuperBpe[] = {FindNumbers, FindDigitGroup};

}  // namespace

std::vector<size_t> PieceEnds(std::string_view text, std::span<const PieceStage> stages) {
  std::vector<size_t> ends;
  if (!text.empty()) ends.push_back(text.size());
  for (const PieceStage stage : stages) {
    std::vector<size_t> finer;
    finer.reserve(ends.size());
    size_t begin = 0;
    for (const size_t end : ends) {
      const std::string_view piece = text.substr(begin, end - begin);
      for (size_t from = 0; from < piece.size();) {
        const PieceMatch match = stage(piece, from);
        if (match.begin > from) finer.push_back(begin + match.begin);
        if (match.end > match.begin) finer.push_back(begin + match.end);
        from = match.end;
      }
      begin = end;
    }
    ends = std::move(finer);
  }
  return ends;
}

std::span<const PieceStage> DeepSeekLlmStages() { return kDeepSeekLlm; }
std::span<const PieceStage> DeepSeekCoderStages() { return kDeepSeekCoder; }
std::span<const PieceStage> DeepSeekV3Stages() { return kDeepSeekV3; }
std::span<const PieceStage> FalconStages() { return kFalcon; }
std::span<const PieceStage> BloomStages() { return kBloom; }
std::span<const PieceStage> VikingStages() { return kViking; }
std::span<const PieceStage> SuperBpeStages() { return kSuperBpe; }

}  // namespace forge
