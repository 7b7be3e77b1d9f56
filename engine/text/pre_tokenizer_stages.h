#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "engine/text/characters.h"

namespace forge {

// The bytes [begin, end) of a text that an expression matched; nothing where begin == end.
struct PieceMatch {
  size_t begin = 0;
  size_t end = 0;
};

// One expression of a pre-tokenizer that splits by several in turn, each within the pieces of the
// one before: its matches are pieces, and so is what lies between two of them.
//
// The first match that begins at or after `from`. REQUIRES: from < text.size(). Called with the end
// of one match for the next, it takes linear time in all.
using PieceStage = PieceMatch (*)(std::string_view text, size_t from);

// The ends of the pieces of a text, in order; the last is text.size(). Linear.
std::vector<size_t> PieceEnds(std::string_view text, std::span<const PieceStage> stages);

// \p{N}{1,3}
PieceMatch FindNumbersOfThree(std::string_view text, size_t from);
// \d{1,3}(?=(?:\d{3})*\b), where a word is of letters, marks, digits and connectors: a number that
// no word goes on after is split from its end.
PieceMatch FindThousands(std::string_view text, size_t from);
// Youtu's runs of Hangul, of full-width punctuation, of Bopomofo, and of Chinese and Kana.
PieceMatch FindEastAsianRun(std::string_view text, size_t from);

// \p{Han}: the script, in Unicode 15.
bool IsChinese(const Char& c);

// The stages of the pre-tokenizers that docs/tokenizers.md lists under the same names.
std::span<const PieceStage> DeepSeekLlmStages();
std::span<const PieceStage> DeepSeekCoderStages();
std::span<const PieceStage> DeepSeekV3Stages();
std::span<const PieceStage> FalconStages();
std::span<const PieceStage> BloomStages();
std::span<const PieceStage> VikingStages();
std::span<const PieceStage> SuperBpeStages();

}  // namespace forge
