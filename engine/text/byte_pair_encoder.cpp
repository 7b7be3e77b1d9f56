#include "engine/text/byte_pair_encoder.h"

#include <algorithm>
#include <string>

#include "engine/gguf/gguf_fault.h"
#include "engine/text/byte_alphabet.h"
#include "engine/text/characters.h"
#include "engine/text/vocabulary_checks.h"

namespace forge {
Result<std::unique_ptr<const SegmentEncoder>> BytePairEncoder::Create(
    const GgufMetadata& metadata, const Vocabulary& vocabulary) {
  FORGE_ASSIGN_OR_RETURN(const std::optional<std::string_view> name, metadata.String(kPreKey));
  const PreTokenizer* const pre_tokenizer = FindPreTokenizer(name.value_or("default"));
  if (pre_tokenizer == nullptr)
    return UnsupportedKey(
        metadata, kPreKey,
        "the pre-tokenizer is none that docs/tokenizers.md lists; send token ids, "
        "or convert the model with one of those",
        QuoteText(*name));
  std::unique_ptr<BytePairEncoder> encoder(new BytePairEncoder(vocabulary, *pre_tokenizer));
  FORGE_ASSIGN_OR_RETURN(encoder->merges_,
                         PairMerges::Read(metadata, vocabulary, BytesOfByteLevelToken));
  encoder->FindWholeTokens();
  return std::unique_ptr<const SegmentEncoder>(std::move(encoder));
}

// Nearly every piece of a text is a token, and then this saves its merges. Whether merging gives
// that token is not certain, so it is tried out once.
void BytePairEncoder::FindWholeTokens() {
  constexpr size_t kMaxTriedBytes = 256;  // longer pieces are too rare to matter
  is_whole_.assign(vocabulary_.size(), false);
  Scratch scratch;
  for (size_t i = 0; i < vocabulary_.size(); ++i) {
    const auto id = static_cast<TokenId>(i);
    const std::string_view text = vocabulary_.text(id);
    if (vocabulary_.FindText(text) != id) continue;
    if (pre_tokenizer_.ignores_merges) {
      is_whole_[i] = true;
    } else if (text.size() <= kMaxTriedBytes) {
      Merge(text, scratch);
      is_whole_[i] = scratch.symbols.size() == 1 && scratch.symbols[0].id == id;
    }
  }
}

void BytePairEncoder::Encode(std::string_view segment, std::vector<TokenId>& ids) const {
  std::string normalized;
  if (pre_tokenizer_.normalizes_nfc && !IsCertainlyNfc(segment)) {
    normalized = NormalizeNfc(segment);
    segment = normalized;
  }
  Scratch scratch;
  pre_tokenizer_.ForEachPiece(segment, [&](std::string_view piece) {
    for (; piece.size() > kMaxPieceBytes; piece.remove_prefix(kMaxPieceBytes))
      EncodePiece(piece.substr(0, kMaxPieceBytes), scratch, ids);
    EncodePiece(piece, scratch, ids);
  });
}

void BytePairEncoder::EncodePiece(std::string_view piece, Scratch& scratch,
                                  std::vector<TokenId>& ids) const {
  const TokenId whole = vocabulary_.FindText(piece);
  if (whole != Vocabulary::kNone && is_whole_[static_cast<size_t>(whole)]) {
    ids.push_back(whole);
    return;
  }
  Merge(piece, scratch);
  for (const Symbol& symbol : scratch.symbols) {
    if (symbol.id != Vocabulary::kNone) {
      ids.push_back(symbol.id);
    } else if (vocabulary_.special().unknown) {  // a byte that the vocabulary lacks
      ids.push_back(*vocabulary_.special().unknown);
    }
  }
}

void BytePairEncoder::Merge(std::string_view piece, Scratch& scratch) const {
  scratch.symbols.clear();
  for (uint32_t i = 0; i < piece.size(); ++i)
    scratch.symbols.push_back({i, 1, vocabulary_.byte_token(static_cast<uint8_t>(piece[i]))});
  MergeSymbols(scratch.symbols, scratch.candidates, [&](const Symbol& left, const Symbol& right) {
    return merges_.Find(left.id, right.id);
  });
}

}  // namespace forge
