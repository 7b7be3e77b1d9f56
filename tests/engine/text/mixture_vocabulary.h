#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace forge::testing {

// Describes a byte-level vocabulary in which the ids of a text tell how it was split: characters of
// an alphabet, every pair of them and many fours are tokens, with merges in a random order, so that
// a piece that ends elsewhere nearly always merges to other tokens.
struct MixtureVocabulary {
  std::vector<std::string> tokens;  // as a file holds them
  std::vector<int32_t> types;
  std::vector<std::string> merges;
  std::vector<float> scores;  // of SentencePiece
};

// The same in every build. The last token is kMixtureSeparator, of type control.
MixtureVocabulary MakeMixtureVocabulary();
// The same for SentencePiece, with characters that are no tokens and fall back to bytes.
MixtureVocabulary MakeMixtureSentencePiece();
// The same with merges in place of scores, as Gemma 4's.
MixtureVocabulary MakeMixtureCharacterPairs();
// The same for WordPiece, with characters that no word, or none but its beginning, may have.
MixtureVocabulary MakeMixtureWordPiece();
inline constexpr std::string_view kMixtureSeparator = "<|endoftext|>";

// Random texts of the alphabet: letters of many scripts and of both cases, digits, contractions,
// punctuation, symbols, emoji, combining marks, control characters, runs of spaces and line breaks.
std::vector<std::string> RandomMixtures(uint32_t seed, size_t n_texts, size_t max_parts);

}  // namespace forge::testing
