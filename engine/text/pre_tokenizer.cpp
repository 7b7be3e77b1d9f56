#include "engine/text/pre_tokenizer.h"

#include <limits>

#include "engine/text/characters.h"

namespace forge {
namespace {

constexpr size_t kNoLimit = std::numeric_limits<size_t>::max();

// True for a character of `any_of` that is in none of `none_of`.
bool Matches(const Char& c, uint8_t any_of, uint8_t none_of = 0) {
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

size_t RunEndOf(std::string_view text, size_t begin, uint8_t any_of, size_t max_chars = kNoLimit) {
  return RunEnd(
      text, begin, [any_of](const Char& c) { return c.Is(any_of); }, max_chars);
}

// [^\s\p{L}\p{N}]
bool IsSymbol(const Char& c) { return !c.Is(kSpace | kLetter | kNumber); }

// The length of 's 't 're 've 'm 'll 'd at `begin`, 0 if there is none. U+017F, the long s, is an s
// where case is ignored.
size_t ContractionLength(std::string_view text, size_t begin, bool ignore_case) {
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
size_t SpacesEnd(std::string_view text, size_t begin, uint8_t barrier = 0) {
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
size_t LineBreaksEnd(std::string_view text, size_t begin) {
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
size_t Gpt2PieceEndUpTo(std::string_view text, size_t begin, uint8_t barrier) {
  if (const size_t length = ContractionLength(text, begin, false)) return begin + length;
  const size_t first = begin + (text[begin] == ' ' ? 1 : 0);
  if (first < text.size()) {
    const Char c = CharAt(text, first);
    const auto run_of = [&](uint8_t classes) {
      return RunEnd(text, first, [&](const Char& x) { return Matches(x, classes, barrier); });
    };
    if (Matches(c, kLetter, barrier)) return run_of(kLetter);
    if (Matches(c, kNumber, barrier)) return run_of(kNumber);
    if (IsSymbol(c) && !c.Is(barrier))
      return RunEnd(text, first, [&](const Char& x) { return IsSymbol(x) && !x.Is(barrier); });
  }
  return SpacesEnd(text, begin, barrier);
}

size_t Gpt2PieceEnd(std::string_view text, size_t begin) {
  return Gpt2PieceEndUpTo(text, begin, 0);
}

// Every \p{N} is a piece; what lies between is split as for gpt-2.
size_t SmolLmPieceEnd(std::string_view text, size_t begin) {
  const Char c = CharAt(text, begin);
  return c.Is(kNumber) ? begin + c.size : Gpt2PieceEndUpTo(text, begin, kNumber);
}

// Three ASCII digits, or what precedes the next three in a run of \p{N}.
size_t DigitTripleEnd(std::string_view text, size_t begin) {
  size_t n_digits = 0;  // ASCII digits in a row
  size_t end = begin;
  while (end < text.size()) {
    const Char c = CharAt(text, end);
    if (!c.Is(kNumber)) break;
    end += c.size;
    n_digits = c.size == 1 ? n_digits + 1 : 0;
    if (n_digits == 3) return end - 3 == begin ? end : end - 3;
  }
  return end;
}

// Splits by four expressions in turn, each within the pieces of the one before:
//   [\p{P}\$\+<=>\^~\|]+
//   's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)
//   \p{N}+
//   [0-9][0-9][0-9]
size_t DefaultPieceEnd(std::string_view text, size_t begin) {
  const Char c = CharAt(text, begin);
  if (c.Is(kPunctuation)) return RunEndOf(text, begin, kPunctuation);
  if (c.Is(kNumber)) return DigitTripleEnd(text, begin);
  const bool space_before_number =
      text[begin] == ' ' && begin + 1 < text.size() && CharAt(text, begin + 1).Is(kNumber);
  return space_before_number ? begin + 1 : Gpt2PieceEndUpTo(text, begin, kPunctuation);
}

// What tells the relatives of llama-bpe apart.
struct CasedRule {
  size_t max_digits;
  bool symbols_take_newlines = true;  // N = [\r\n]* after symbols, else nothing
};

// (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,max_digits}
// | ?[^\s\p{L}\p{N}]+N|\s*[\r\n]+|\s+(?!\S)|\s+
size_t CasedPieceEnd(std::string_view text, size_t begin, CasedRule rule) {
  if (const size_t length = ContractionLength(text, begin, true)) return begin + length;
  const Char c = CharAt(text, begin);
  const size_t second = begin + c.size;
  if (c.Is(kLetter)) return RunEndOf(text, second, kLetter);
  const bool letter_follows = second < text.size() && CharAt(text, second).Is(kLetter);
  if (letter_follows && !c.Is(kNewline | kNumber)) return RunEndOf(text, second, kLetter);
  if (c.Is(kNumber)) return RunEndOf(text, begin, kNumber, rule.max_digits);

  const size_t first = text[begin] == ' ' ? second : begin;
  const size_t symbols = RunEnd(text, first, IsSymbol);
  if (symbols > first)
    return rule.symbols_take_newlines ? RunEndOf(text, symbols, kNewline) : symbols;
  if (const size_t end = LineBreaksEnd(text, begin); end > begin) return end;
  return SpacesEnd(text, begin);
}

size_t Llama3PieceEnd(std::string_view text, size_t begin) {
  return CasedPieceEnd(text, begin, {.max_digits = 3});
}
size_t Qwen2PieceEnd(std::string_view text, size_t begin) {
  return CasedPieceEnd(text, begin, {.max_digits = 1});
}
size_t SeedPieceEnd(std::string_view text, size_t begin) {
  return CasedPieceEnd(text, begin, {.max_digits = 1, .symbols_take_newlines = false});
}

// [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]
bool IsUpperOrUncased(const Char& c) { return Matches(c, kLetter, kLower) || c.Is(kMark); }
// [\p{Ll}\p{Lm}\p{Lo}\p{M}]
bool IsLowerOrUncased(const Char& c) { return Matches(c, kLetter, kUpper) || c.Is(kMark); }

// The words U*L+|U+L* of tekken and gpt-4o, where U is IsUpperOrUncased and L is IsLowerOrUncased;
// `begin` if there is none. U* gives back what it took until an L follows it, hence the last
// uncased character.
size_t CasedWordEnd(std::string_view text, size_t begin, bool needs_lower) {
  size_t end = begin;
  size_t after_last_uncased = begin;
  while (end < text.size()) {
    const Char c = CharAt(text, end);
    if (!IsUpperOrUncased(c)) break;
    end += c.size;
    if (IsLowerOrUncased(c)) after_last_uncased = end;
  }
  const size_t lower_end = RunEnd(text, end, IsLowerOrUncased);
  if (!needs_lower || lower_end > end) return lower_end;
  return after_last_uncased;
}

// What tells the relatives of tekken apart.
struct CasedWordRule {
  size_t max_digits;
  bool takes_contractions;  // C = (?i:'s|'t|'re|'ve|'m|'ll|'d)? after a word, else nothing
};

// [^\r\n\p{L}\p{N}]?U*L+C|[^\r\n\p{L}\p{N}]?U+L*C|\p{N}{1,max_digits}| ?[^\s\p{L}\p{N}]+[\r\n/]*
// |\s*[\r\n]+|\s+(?!\S)|\s+
size_t CasedWordPieceEnd(std::string_view text, size_t begin, CasedWordRule rule) {
  const auto with_contraction = [&](size_t end) {
    return rule.takes_contractions ? end + ContractionLength(text, end, true) : end;
  };
  const Char c = CharAt(text, begin);
  const size_t second = begin + c.size;
  for (const bool needs_lower : {true, false}) {
    if (!c.Is(kNewline | kLetter | kNumber))
      if (const size_t end = CasedWordEnd(text, second, needs_lower); end > second)
        return with_contraction(end);
    if (const size_t end = CasedWordEnd(text, begin, needs_lower); end > begin)
      return with_contraction(end);
  }
  if (c.Is(kNumber)) return RunEndOf(text, begin, kNumber, rule.max_digits);

  const size_t first = text[begin] == ' ' ? second : begin;
  const size_t symbols = RunEnd(text, first, IsSymbol);
  if (symbols > first)
    return RunEnd(text, symbols,
                  [](const Char& x) { return x.Is(kNewline) || x.code_point == '/'; });
  if (const size_t end = LineBreaksEnd(text, begin); end > begin) return end;
  return SpacesEnd(text, begin);
}

size_t TekkenPieceEnd(std::string_view text, size_t begin) {
  return CasedWordPieceEnd(text, begin, {.max_digits = 1, .takes_contractions = false});
}
size_t Gpt4oPieceEnd(std::string_view text, size_t begin) {
  return CasedWordPieceEnd(text, begin, {.max_digits = 3, .takes_contractions = true});
}

// The names that converters write, with what llama.cpp's src/llama-vocab.cpp takes them for.
constexpr PreTokenizer kPreTokenizers[] = {
    {.name = "default", .piece_end = DefaultPieceEnd},
    {.name = "gpt-2", .piece_end = Gpt2PieceEnd},
    {.name = "phi-2", .piece_end = Gpt2PieceEnd},
    {.name = "mpt", .piece_end = Gpt2PieceEnd},
    {.name = "olmo", .piece_end = Gpt2PieceEnd},
    {.name = "jais", .piece_end = Gpt2PieceEnd},
    {.name = "gigachat", .piece_end = Gpt2PieceEnd},
    {.name = "a.x-4.0", .piece_end = Gpt2PieceEnd},
    {.name = "exaone4", .piece_end = Gpt2PieceEnd},
    {.name = "smollm", .piece_end = SmolLmPieceEnd},
    {.name = "starcoder", .piece_end = SmolLmPieceEnd},
    {.name = "refact", .piece_end = SmolLmPieceEnd},
    {.name = "command-r", .piece_end = SmolLmPieceEnd},
    {.name = "codeshell", .piece_end = SmolLmPieceEnd},
    {.name = "exaone", .piece_end = SmolLmPieceEnd},
    {.name = "minerva-7b", .piece_end = SmolLmPieceEnd},
    {.name = "qwen2", .piece_end = Qwen2PieceEnd, .normalizes_nfc = true},
    {.name = "deepseek-r1-qwen", .piece_end = Qwen2PieceEnd, .normalizes_nfc = true},
    {.name = "stablelm2", .piece_end = Qwen2PieceEnd},
    {.name = "hunyuan", .piece_end = Qwen2PieceEnd},
    {.name = "megrez", .piece_end = Qwen2PieceEnd},
    {.name = "seed-coder", .piece_end = SeedPieceEnd},
    {.name = "llama-bpe", .piece_end = Llama3PieceEnd, .ignores_merges = true, .adds_bos = true},
    {.name = "llama-v3", .piece_end = Llama3PieceEnd, .ignores_merges = true, .adds_bos = true},
    {.name = "llama3", .piece_end = Llama3PieceEnd, .ignores_merges = true, .adds_bos = true},
    {.name = "falcon3", .piece_end = Llama3PieceEnd, .ignores_merges = true, .adds_bos = true},
    {.name = "pixtral", .piece_end = Llama3PieceEnd, .ignores_merges = true, .adds_bos = true},
    {.name = "smaug-bpe", .piece_end = Llama3PieceEnd},
    {.name = "dbrx", .piece_end = Llama3PieceEnd},
    {.name = "glm4", .piece_end = Llama3PieceEnd},
    {.name = "chatglm-bpe", .piece_end = Llama3PieceEnd},
    {.name = "tekken", .piece_end = TekkenPieceEnd, .ignores_merges = true, .adds_bos = true},
    {.name = "gpt-4o", .piece_end = Gpt4oPieceEnd},
    {.name = "llama4", .piece_end = Gpt4oPieceEnd},
};

}  // namespace

const PreTokenizer* FindPreTokenizer(std::string_view name) {
  for (const PreTokenizer& pre_tokenizer : kPreTokenizers)
    if (pre_tokenizer.name == name) return &pre_tokenizer;
  return nullptr;
}

}  // namespace forge
