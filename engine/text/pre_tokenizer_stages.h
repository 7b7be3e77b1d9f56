#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

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

// The stages of the pre-tokenizers that docs/tokenizers.md lists under the same names.
std::span<const PieceStage> DeepSeekLlmStages();
std::span<const PieceStage> DeepSeekCoderStages();
std::span<const PieceStage> DeepSeekV3Stages();
std::span<const PieceStage> FalconStages();
std::span<const PieceStage> BloomStages();
std::span<const PieceStage> VikingStages();
std::span<const PieceStage> SuperBpeStages();

}  // namespace forge
