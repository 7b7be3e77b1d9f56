#include "engine/text/pre_tokenizer.h"

#include "engine/text/character_runs.h"

namespace forge {
namespace {

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
  CharClasses letters = kLetter;      // L = \p{L}, or [\p{L}\p{M}]
  bool symbols_take_newlines = true;  // N = [\r\n]* after symbols, else nothing
};

// (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?L+|\p{N}{1,max_digits}
// | ?[^\sL\p{N}]+N|\s*[\r\n]+|\s+(?!\S)|\s+
size_t CasedPieceEnd(std::string_view text, size_t begin, CasedRule rule) {
  if (const size_t length = ContractionLength(text, begin, true)) return begin + length;
  const Char c = CharAt(text, begin);
  const size_t second = begin + c.size;
  if (c.Is(rule.letters)) return RunEndOf(text, second, rule.letters);
  const bool letter_follows = second < text.size() && CharAt(text, second).Is(rule.letters);
  if (letter_follows && !c.Is(kNewline | kNumber)) return RunEndOf(text, second, rule.letters);
  if (c.Is(kNumber)) return RunEndOf(text, begin, kNumber, rule.max_digits);

  const size_t first = text[begin] == ' ' ? second : begin;
  const size_t symbols =
      RunEnd(text, first, [&](const Char& x) { return IsSymbol(x) && !x.Is(rule.letters); });
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
// \p{N}{1,3}, and what lies between as for llama-bpe.
std::span<const PieceStage> MiniCpm5Stages() {
  static constexpr PieceStage kStages[] = {FindNumbersOfThree,
                                           [](std::string_view text, size_t from) {
                                             return PieceMatch{from, Llama3PieceEnd(text, from)};
                                           }};
  return kStages;
}
size_t Qwen35PieceEnd(std::string_view text, size_t begin) {
  return CasedPieceEnd(text, begin, {.max_digits = 1, .letters = kLetter | kMark});
}
size_t SeedPieceEnd(std::string_view text, size_t begin) {
  return CasedPieceEnd(text, begin, {.max_digits = 1, .symbols_take_newlines = false});
}

// [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]
bool IsUpperOrUncased(const Char& c) { return Matches(c, kLetter, kLower) || c.Is(kMark); }
// [\p{Ll}\p{Lm}\p{Lo}\p{M}]
bool IsLowerOrUncased(const Char& c) { return Matches(c, kLetter, kUpper) || c.Is(kMark); }

// What tells the relatives of tekken apart.
struct CasedWordRule {
  size_t max_digits;
  bool takes_contractions;           // C = (?i:'s|'t|'re|'ve|'m|'ll|'d)? after a word, else nothing
  bool symbols_take_slashes = true;  // N = [\r\n/]* after symbols, else [\r\n]*
  bool has_chinese_runs = false;     // H = \p{Han}+ before all else, and words have none
};

// The words U*L+|U+L* of tekken and gpt-4o, where U is IsUpperOrUncased and L is IsLowerOrUncased;
// `begin` if there is none. U* gives back what it took until an L follows it, hence the last
// uncased character.
size_t CasedWordEnd(std::string_view text, size_t begin, bool needs_lower, CasedWordRule rule) {
  const auto is_left_out = [&](const Char& c) { return rule.has_chinese_runs && IsChinese(c); };
  size_t end = begin;
  size_t after_last_uncased = begin;
  while (end < text.size()) {
    const Char c = CharAt(text, end);
    if (!IsUpperOrUncased(c) || is_left_out(c)) break;
    end += c.size;
    if (IsLowerOrUncased(c)) after_last_uncased = end;
  }
  const size_t lower_end =
      RunEnd(text, end, [&](const Char& c) { return IsLowerOrUncased(c) && !is_left_out(c); });
  if (!needs_lower || lower_end > end) return lower_end;
  return after_last_uncased;
}

// H|[^\r\n\p{L}\p{N}]?U*L+C|[^\r\n\p{L}\p{N}]?U+L*C|\p{N}{1,max_digits}| ?[^\s\p{L}\p{N}]+N
// |\s*[\r\n]+|\s+(?!\S)|\s+
size_t CasedWordPieceEnd(std::string_view text, size_t begin, CasedWordRule rule) {
  if (rule.has_chinese_runs)
    if (const size_t end = RunEnd(text, begin, IsChinese); end > begin) return end;
  const auto with_contraction = [&](size_t end) {
    return rule.takes_contractions ? end + ContractionLength(text, end, true) : end;
  };
  const Char c = CharAt(text, begin);
  const size_t second = begin + c.size;
  for (const bool needs_lower : {true, false}) {
    if (!c.Is(kNewline | kLetter | kNumber))
      if (const size_t end = CasedWordEnd(text, second, needs_lower, rule); end > second)
        return with_contraction(end);
    if (const size_t end = CasedWordEnd(text, begin, needs_lower, rule); end > begin)
      return with_contraction(end);
  }
  if (c.Is(kNumber)) return RunEndOf(text, begin, kNumber, rule.max_digits);

  const size_t first = text[begin] == ' ' ? second : begin;
  const size_t symbols = RunEnd(text, first, IsSymbol);
  if (symbols > first)
    return RunEnd(text, symbols, [&](const Char& x) {
      return x.Is(kNewline) || (rule.symbols_take_slashes && x.code_point == '/');
    });
  if (const size_t end = LineBreaksEnd(text, begin); end > begin) return end;
  return SpacesEnd(text, begin);
}

size_t TekkenPieceEnd(std::string_view text, size_t begin) {
  return CasedWordPieceEnd(text, begin, {.max_digits = 1, .takes_contractions = false});
}
size_t Gpt4oPieceEnd(std::string_view text, size_t begin) {
  return CasedWordPieceEnd(text, begin, {.max_digits = 3, .takes_contractions = true});
}
// As the tokenizer of Moonshot's models has it (tokenization_kimi.py).
size_t KimiPieceEnd(std::string_view text, size_t begin) {
  return CasedWordPieceEnd(text, begin,
                           {.max_digits = 3,
                            .takes_contractions = true,
                            .symbols_take_slashes = false,
                            .has_chinese_runs = true});
}
std::span<const PieceStage> TinyAyaStages() {
  static constexpr PieceStage kStages[] = {FindThousands, [](std::string_view text, size_t from) {
                                             return PieceMatch{from, Gpt4oPieceEnd(text, from)};
                                           }};
  return kStages;
}
std::span<const PieceStage> YoutuStages() {
  constexpr PieceStage kWords = [](std::string_view text, size_t from) {
    constexpr CasedWordRule kRule = {.max_digits = 1, .takes_contractions = true};
    return PieceMatch{from, CasedWordPieceEnd(text, from, kRule)};
  };
  static constexpr PieceStage kStages[] = {FindEastAsianRun, kWords};
  return kStages;
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
    {.name = "trillion", .piece_end = Gpt2PieceEnd},
    {.name = "granite-docling", .piece_end = Gpt2PieceEnd},
    {.name = "mellum", .piece_end = Gpt2PieceEnd},
    {.name = "smollm", .piece_end = SmolLmPieceEnd},
    {.name = "starcoder", .piece_end = SmolLmPieceEnd},
    {.name = "refact", .piece_end = SmolLmPieceEnd},
    {.name = "command-r", .piece_end = SmolLmPieceEnd},
    {.name = "codeshell", .piece_end = SmolLmPieceEnd},
    {.name = "exaone", .piece_end = SmolLmPieceEnd},
    {.name = "minerva-7b", .piece_end = SmolLmPieceEnd},
    {.name = "mellum2", .piece_end = SmolLmPieceEnd},
    {.name = "qwen2", .piece_end = Qwen2PieceEnd, .normalizes_nfc = true},
    {.name = "deepseek-r1-qwen", .piece_end = Qwen2PieceEnd, .normalizes_nfc = true},
    {.name = "qwen35", .piece_end = Qwen35PieceEnd, .normalizes_nfc = true},
    {.name = "stablelm2", .piece_end = Qwen2PieceEnd},
    {.name = "hunyuan", .piece_end = Qwen2PieceEnd},
    {.name = "megrez", .piece_end = Qwen2PieceEnd},
    {.name = "kormo", .piece_end = Qwen2PieceEnd},
    {.name = "grok-2", .piece_end = Qwen2PieceEnd},
    {.name = "solar-open", .piece_end = Qwen2PieceEnd},
    {.name = "bailingmoe", .piece_end = Qwen2PieceEnd},
    {.name = "bailingmoe2", .piece_end = Qwen2PieceEnd},
    {.name = "llada-moe", .piece_end = Qwen2PieceEnd},
    {.name = "seed-coder", .piece_end = SeedPieceEnd},
    {.name = "llama-bpe", .piece_end = Llama3PieceEnd, .ignores_merges = true, .adds_bos = true},
    {.name = "llama-v3", .piece_end = Llama3PieceEnd, .ignores_merges = true, .adds_bos = true},
    {.name = "llama3", .piece_end = Llama3PieceEnd, .ignores_merges = true, .adds_bos = true},
    {.name = "falcon3", .piece_end = Llama3PieceEnd, .ignores_merges = true, .adds_bos = true},
    {.name = "pixtral", .piece_end = Llama3PieceEnd, .ignores_merges = true, .adds_bos = true},
    {.name = "falcon-h1", .piece_end = Llama3PieceEnd, .ignores_merges = true, .adds_bos = true},
    {.name = "midm-2.0", .piece_end = Llama3PieceEnd, .ignores_merges = true, .adds_bos = true},
    {.name = "lfm2", .piece_end = Llama3PieceEnd, .ignores_merges = true, .adds_bos = true},
    {.name = "glm4", .piece_end = Llama3PieceEnd, .ignores_merges = true},
    {.name = "minicpm5", .stages = MiniCpm5Stages, .ignores_merges = true},
    {.name = "smaug-bpe", .piece_end = Llama3PieceEnd},
    {.name = "dbrx", .piece_end = Llama3PieceEnd},
    {.name = "chatglm-bpe", .piece_end = Llama3PieceEnd},
    {.name = "tekken", .piece_end = TekkenPieceEnd, .ignores_merges = true, .adds_bos = true},
    {.name = "gpt-4o", .piece_end = Gpt4oPieceEnd},
    {.name = "llama4", .piece_end = Gpt4oPieceEnd},
    {.name = "kanana2", .piece_end = Gpt4oPieceEnd},
    {.name = "minimax-m2", .piece_end = Gpt4oPieceEnd},
    {.name = "kimi-k2", .piece_end = KimiPieceEnd},
    {.name = "tiny_aya", .stages = TinyAyaStages},
    {.name = "youtu", .stages = YoutuStages, .ignores_merges = true},
    {.name = "deepseek-llm", .stages = DeepSeekLlmStages},
    {.name = "deepseek-coder", .stages = DeepSeekCoderStages},
    {.name = "deepseek-v3", .stages = DeepSeekV3Stages},
    {.name = "hunyuan-dense", .stages = DeepSeekV3Stages},
    {.name = "joyai-llm", .stages = DeepSeekV3Stages},
    {.name = "falcon", .stages = FalconStages},
    {.name = "bloom", .stages = BloomStages},
    {.name = "poro-chat", .stages = BloomStages},
    {.name = "gpt3-finnish", .stages = BloomStages},
    {.name = "viking", .stages = VikingStages},
    {.name = "superbpe", .stages = SuperBpeStages},
};

}  // namespace

std::span<const PreTokenizer> PreTokenizers() { return kPreTokenizers; }

const PreTokenizer* FindPreTokenizer(std::string_view name) {
  for (const PreTokenizer& pre_tokenizer : kPreTokenizers)
    if (pre_tokenizer.name == name) return &pre_tokenizer;
  return nullptr;
}

}  // namespace forge
