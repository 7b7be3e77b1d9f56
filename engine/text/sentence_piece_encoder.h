#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "engine/gguf/gguf_metadata.h"
#include "engine/text/merge.h"
#include "engine/text/pair_merges.h"
#include "engine/text/segment_encoder.h"
#include "engine/text/vocabulary.h"
#include "kernels/base/result.h"

namespace forge {

// Encodes as SentencePiece's BPE does: merges the characters of the text, the best score first, and
// writes characters that no token holds as byte tokens. Vocabularies of pairs have merges in place
// of scores; there line breaks are apart from other characters, and a run of them that is a token
// is taken whole.
//
// Lifetime: the vocabulary must outlive it.
class SentencePieceEncoder : public SegmentEncoder {
 public:
  // Fails as Tokenizer::Create does.
  static Result<std::unique_ptr<const SegmentEncoder>> Create(const GgufMetadata& metadata,
                                                              const Vocabulary& vocabulary);

  void Encode(std::string_view segment, std::vector<TokenId>& ids) const override;

 private:
  struct Scratch {
    std::vector<Symbol> symbols;
    std::vector<MergeCandidate> candidates;
  };
  explicit SentencePieceEncoder(const Vocabulary& vocabulary)
      : vocabulary_(vocabulary),
        has_pairs_(vocabulary.model() == Vocabulary::Model::kCharacterPairs) {}

  Status ReadScores(const GgufMetadata& metadata);
  void FindJoinedCharacters();
  void FindWholeTokens();
  // The end of the word that starts at `begin`: no token reaches across it.
  size_t WordEnd(std::string_view text, size_t begin) const;
  void EncodeWord(std::string_view word, Scratch& scratch, std::vector<TokenId>& ids) const;
  void Merge(std::string_view word, Scratch& scratch) const;
  // What two neighbours in `word` may become.
  MergeCandidate CandidateOf(std::string_view word, const Symbol& left, const Symbol& right) const;
  void AppendBytes(std::string_view character, std::vector<TokenId>& ids) const;

  // Constant after construction.
  const Vocabulary& vocabulary_;
  const bool has_pairs_;
  PairMerges merges_;            // of pairs, or
  std::vector<uint32_t> ranks_;  // of every token: how many distinct scores are better
  // The characters that some token has right before a space; see WordEnd.
  std::unordered_set<char32_t> joined_to_space_;
  // Of every token: whether its text, taken as a word, becomes this token and no other.
  std::vector<bool> is_whole_;
};

}  // namespace forge
