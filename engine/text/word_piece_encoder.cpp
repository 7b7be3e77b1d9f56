#include "engine/text/word_piece_encoder.h"

#include <algorithm>
#include <optional>
#include <string>

#include "engine/text/vocabulary_checks.h"

namespace forge {
namespace {

bool StartsCharacter(char byte) { return (static_cast<uint8_t>(byte) & 0xc0) != 0x80; }

size_t CountCharacters(std::string_view text) {
  return static_cast<size_t>(std::ranges::count_if(text, StartsCharacter));
}

// A vocabulary that was made from texts in lower case has no upper-case letters, one that was not
// has all of them as words: an alphabet is the first that goes into a vocabulary.
bool IsCased(const Vocabulary& vocabulary) {
  for (char letter = 'A'; letter <= 'Z'; ++letter) {
    const char word[] = {' ', letter};
    if (vocabulary.FindText({word, sizeof(word)}) == Vocabulary::kNone) return false;
  }
  return true;
}

}  // namespace

Result<std::unique_ptr<const SegmentEncoder>> WordPieceEncoder::Create(
    const GgufMetadata& metadata, const Vocabulary& vocabulary) {
  FORGE_ASSIGN_OR_RETURN(const std::optional<bool> lower_case, metadata.Bool(kLowerCaseKey));
  FORGE_ASSIGN_OR_RETURN(const std::optional<bool> strip_accents, metadata.Bool(kStripAccentsKey));
  BertNormalization normalization;
  normalization.lower_case = lower_case ? *lower_case : !IsCased(vocabulary);
  normalization.strip_accents = strip_accents.value_or(normalization.lower_case);
  return std::unique_ptr<const SegmentEncoder>(new WordPieceEncoder(vocabulary, normalization));
}

void WordPieceEncoder::Encode(std::string_view segment, std::vector<TokenId>& ids) const {
  const std::optional<TokenId> unknown = vocabulary_.special().unknown;
  std::string spaced;
  ForEachBertWord(segment, normalization_, [&](std::string_view word) {
    spaced.assign(1, ' ');
    const bool is_short =
        word.size() <= kMaxWordCharacters || CountCharacters(word) <= kMaxWordCharacters;
    if (is_short) spaced += word;
    if (!(is_short && AppendPieces(spaced, ids)) && unknown) ids.push_back(*unknown);
  });
}

bool WordPieceEncoder::AppendPieces(std::string_view spaced, std::vector<TokenId>& ids) const {
  const size_t n_before = ids.size();
  for (size_t begin = 0; begin < spaced.size();) {
    // The space is no token without the character after it: that would let a token continue a word
    // that nothing has begun.
    const size_t min_bytes = begin == 0 ? 1 : 0;
    size_t size = 0;
    const TokenId token = LongestToken(spaced.substr(begin), min_bytes, size);
    if (token == Vocabulary::kNone) {
      ids.resize(n_before);
      return false;
    }
    ids.push_back(token);
    begin += size;
  }
  return true;
}

TokenId WordPieceEncoder::LongestToken(std::string_view text, size_t min_bytes,
                                       size_t& size) const {
  const auto ends_character = [&](size_t end) {
    return end == text.size() || StartsCharacter(text[end]);
  };
  for (size_t end = std::min(text.size(), vocabulary_.max_text_bytes()); end > min_bytes; --end) {
    if (!ends_character(end)) continue;
    const TokenId token = vocabulary_.FindText(text.substr(0, end));
    if (token == Vocabulary::kNone) continue;
    size = end;
    return token;
  }
  return Vocabulary::kNone;
}

}  // namespace forge
