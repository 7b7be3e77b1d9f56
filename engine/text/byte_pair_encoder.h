#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "engine/gguf/gguf_metadata.h"
#include "engine/text/merge.h"
#include "engine/text/pair_merges.h"
#include "engine/text/pre_tokenizer.h"
#include "engine/text/segment_encoder.h"
#include "engine/text/vocabulary.h"
#include "kernels/base/result.h"

namespace forge {

// Encodes as byte-level BPE does: splits the text into pieces, then merges the bytes of each piece
// by the ranks of tokenizer.ggml.merges.
//
// Lifetime: the vocabulary must outlive it.
class BytePairEncoder : public SegmentEncoder {
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
  BytePairEncoder(const Vocabulary& vocabulary, const PreTokenizer& pre_tokenizer)
      : vocabulary_(vocabulary), pre_tokenizer_(pre_tokenizer) {}

  void FindWholeTokens();
  void EncodePiece(std::string_view piece, Scratch& scratch, std::vector<TokenId>& ids) const;
  // Leaves in scratch.symbols what the merges make of the piece.
  void Merge(std::string_view piece, Scratch& scratch) const;

  // Constant after construction.
  const Vocabulary& vocabulary_;
  const PreTokenizer& pre_tokenizer_;
  PairMerges merges_;
  // Of every token: whether its text, taken as a piece, becomes this token and no other.
  std::vector<bool> is_whole_;
};

}  // namespace forge
