#include "tests/engine/text/mixture_vocabulary.h"

#include <cstdio>
#include <iterator>
#include <random>
#include <set>
#include <utility>

#include "tests/engine/text/vocabulary_builder.h"

namespace forge::testing {
namespace {

constexpr std::string_view kAlphabet[] = {
    " ",          " ",          "  ",     "   ",        "\n",     "\n",     "\r\n",   "\t",
    "\r",         "\v",         "\u00a0", "\u0085",     "\u2028", "\u3000", "'s",     "'S",
    "'re",        "'Re",        "'ll",    "'LL",        "'t",     "'d",     "'x",     "'",
    "a",          "b",          "c",      "e",          "z",      "A",      "B",      "Z",
    "\u00e9",     "\u00c9",     "\u00df", "\u00b5",     "\u00aa", "\u0434", "\u0414", "\u03b1",
    "\u03a9",     "\u4e2d",     "\u6587", "\u3042",     "\u30a2", "\u30fc", "\u30fb", "\uac00",
    "\uae00",     "\u05d0",     "\u0627", "\u0e01",     "\u0915", "\u093f", "\u0301", "\u0308",
    "\u200d",     "\u200b",     "\ufe0f", "\U0001f600", "1",      "2",      "34",     "567",
    "0",          "\u0663",     "\u00bd", "\u2163",     "\uff11", ".",      ",",      "!",
    "?",          ";",          ":",      "(",          ")",      "[",      "]",      "{",
    "}",          "/",          "//",     "\\",         "\"",     "#",      "$",      "%",
    "&",          "*",          "+",      "-",          "<",      "=",      ">",      "@",
    "^",          "_",          "`",      "|",          "~",      "\u00a3", "\u20ac", "\u2014",
    "\u2026",     "\u201c",     "\u2019", "\u3002",     "\uff0c", "\uff01", "\u060c", "\u0964",
    "\U00010400", "\U0001d400", "\x01",   "\x7f",       "\ufffd",
};

// The characters of the alphabet, each once.
std::vector<std::string> Characters() {
  std::vector<std::string> characters;
  std::set<std::string> known;
  for (const std::string_view part : kAlphabet) {
    for (size_t i = 0; i < part.size();) {
      size_t end = i + 1;
      while (end < part.size() && (static_cast<uint8_t>(part[end]) & 0xc0) == 0x80) ++end;
      std::string character(part.substr(i, end - i));
      if (known.insert(character).second) characters.push_back(std::move(character));
      i = end;
    }
  }
  return characters;
}

class Maker {
 public:
  void AddToken(std::string text, int32_t type = 1) {
    if (!known_.insert(text).second) return;
    made_.tokens.push_back(std::move(text));
    made_.types.push_back(type);
  }
  std::string AddMerge(const std::string& left, const std::string& right) {
    if (merges_.insert(left + ' ' + right).second) made_.merges.push_back(left + ' ' + right);
    AddToken(left + right);
    return left + right;
  }
  MixtureVocabulary Take() { return std::move(made_); }

 private:
  MixtureVocabulary made_;
  std::set<std::string> known_, merges_;
};

std::vector<std::pair<std::string, std::string>> ShuffledPairs(
    const std::vector<std::string>& characters, std::mt19937& random) {
  std::vector<std::pair<std::string, std::string>> pairs;
  for (const std::string& left : characters)
    for (const std::string& right : characters) pairs.emplace_back(left, right);
  for (size_t i = pairs.size(); i > 1; --i) std::swap(pairs[i - 1], pairs[random() % i]);
  return pairs;
}

constexpr size_t kFours = 4000;
constexpr uint32_t kSeed = 7;

void AddSpecialAndByteTokens(Maker& maker) {
  maker.AddToken("<unk>", 2);
  maker.AddToken("<s>", 3);
  maker.AddToken("</s>", 3);
  for (unsigned byte = 0; byte < 256; ++byte) {
    char text[8];
    std::snprintf(text, sizeof(text), "<0x%02X>", byte);
    maker.AddToken(text, 6);
  }
}

// Some of the alphabet's characters, as SentencePiece writes them.
std::vector<std::string> EscapedCharacters(std::mt19937& random) {
  std::vector<std::string> characters;
  for (const std::string& character : Characters())
    if (character == " ") {
      characters.emplace_back("\u2581");
    } else if (random() % 4 != 0) {
      characters.push_back(character);
    }
  return characters;
}

}  // namespace

MixtureVocabulary MakeMixtureSentencePiece() {
  Maker maker;
  AddSpecialAndByteTokens(maker);
  std::mt19937 random(kSeed);
  const std::vector<std::string> characters = EscapedCharacters(random);
  const std::vector<std::pair<std::string, std::string>> pairs = ShuffledPairs(characters, random);
  // Fours come between the pairs, as a better score may go to a longer token.
  for (const auto& [left, right] : pairs) {
    maker.AddToken(left + right);
    const auto& [c, d] = pairs[random() % pairs.size()];
    if (random() % 3 == 0) maker.AddToken(left + right + c + d);
  }
  for (const std::string& character : characters) maker.AddToken(character);
  maker.AddToken(std::string(kMixtureSeparator), 3);
  MixtureVocabulary vocabulary = maker.Take();
  // Many share a score: then the left one is merged first.
  for (size_t i = 0; i < vocabulary.tokens.size(); ++i)
    vocabulary.scores.push_back(-static_cast<float>(i / 64));
  return vocabulary;
}

MixtureVocabulary MakeMixtureCharacterPairs() {
  Maker maker;
  AddSpecialAndByteTokens(maker);
  std::mt19937 random(kSeed);
  std::vector<std::string> characters = EscapedCharacters(random);
  for (const std::string& character : characters) maker.AddToken(character);
  // No merge crosses the borders of lines.
  std::erase(characters, "\n");
  const std::vector<std::pair<std::string, std::string>> pairs = ShuffledPairs(characters, random);
  for (const auto& [left, right] : pairs) maker.AddMerge(left, right);
  for (size_t i = 0; i < kFours; ++i) {
    const auto& [a, b] = pairs[random() % pairs.size()];
    const auto& [c, d] = pairs[random() % pairs.size()];
    maker.AddMerge(a + b, c + d);
  }
  // Tokens that no merge leads to: of these only the line breaks are taken whole.
  for (const char* word : {"\n", "\n\n", "\n\n\n", "abc", "\u2581zzz"}) maker.AddToken(word);
  maker.AddToken(std::string(kMixtureSeparator), 3);
  return maker.Take();
}

MixtureVocabulary MakeMixtureWordPiece() {
  Maker maker;
  for (const char* const name : {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"})
    maker.AddToken(name, 3);
  // What lower case and form D make of the alphabet.
  std::vector<std::string> characters = {"\u03c9", "\u2173", "\U00010428", "\u1100", "\u1161",
                                         "\u1173", "\u11af", "\u30cf",     "E"};
  for (const std::string& character : Characters()) {
    const bool is_space = character == " " || character == "\n" || character == "\r";
    if (!is_space) characters.push_back(character);
  }
  std::mt19937 random(kSeed);
  for (const std::string& character : characters) {
    // Few of these are missing, for a word that misses one is unknown, and tells nothing else.
    if (random() % 32 != 0) maker.AddToken("\u2581" + character);
    if (random() % 32 != 0) maker.AddToken(character);
  }
  for (const auto& [left, right] : ShuffledPairs(characters, random)) {
    const std::string& third = characters[random() % characters.size()];
    if (random() % 3 == 0) maker.AddToken("\u2581" + left + right);
    if (random() % 3 == 0) maker.AddToken(left + right);
    if (random() % 8 == 0) maker.AddToken(left + right + third);
  }
  maker.AddToken("\u2581abc");
  maker.AddToken("zzz");
  maker.AddToken(std::string(kMixtureSeparator), 3);
  return maker.Take();
}

MixtureVocabulary MakeMixtureVocabulary() {
  Maker maker;
  for (int byte = 0; byte < 256; ++byte)
    maker.AddToken(ByteLevelCharacter(static_cast<uint8_t>(byte)));
  std::vector<std::string> characters;
  for (const std::string& bytes : Characters()) {
    std::string character;
    for (const char byte : bytes) {
      const std::string symbol = ByteLevelCharacter(static_cast<uint8_t>(byte));
      character = character.empty() ? symbol : maker.AddMerge(character, symbol);
    }
    characters.push_back(character);
  }
  std::mt19937 random(kSeed);
  const std::vector<std::pair<std::string, std::string>> pairs = ShuffledPairs(characters, random);
  for (const auto& [left, right] : pairs) maker.AddMerge(left, right);
  for (size_t i = 0; i < kFours; ++i) {
    const auto& [a, b] = pairs[random() % pairs.size()];
    const auto& [c, d] = pairs[random() % pairs.size()];
    maker.AddMerge(a + b, c + d);
  }
  // Tokens that no merge leads to: only a piece that is taken whole is one.
  for (const char* word : {"abc",
                           "\xc4\xa0"
                           "abc",
                           "bca", "123", "!!!", "zzz"})
    maker.AddToken(word);
  maker.AddToken(std::string(kMixtureSeparator), 3);
  return maker.Take();
}

std::vector<std::string> RandomMixtures(uint32_t seed, size_t n_texts, size_t max_parts) {
  std::mt19937 random(seed);
  std::vector<std::string> texts(n_texts);
  for (std::string& text : texts) {
    // Some texts of a few parts only, in which these meet more often.
    const size_t n_parts = 1 + random() % max_parts;
    const size_t n_kinds = random() % 2 == 0 ? std::size(kAlphabet) : 2 + random() % 8;
    const size_t offset = random() % std::size(kAlphabet);
    const size_t stride = 1 + random() % std::size(kAlphabet);
    for (size_t i = 0; i < n_parts; ++i)
      text += kAlphabet[(offset + random() % n_kinds * stride) % std::size(kAlphabet)];
  }
  return texts;
}

}  // namespace forge::testing
