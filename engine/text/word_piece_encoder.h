#pragma once

#include <cstddef>
#include <memory>
#include <string_view>
#include <vector>

#include "engine/gguf/gguf_metadata.h"
#include "engine/text/bert_words.h"
#include "engine/text/segment_encoder.h"
#include "engine/text/vocabulary.h"
#include "kernels/base/result.h"

namespace forge {

// Encodes as BERT's WordPiece does: splits the text into normalised words, and each word, from its
// left, into the longest tokens. A word that some part of has no token is the unknown token.
//
// Lifetime: the vocabulary must outlive it.
class WordPieceEncoder : public SegmentEncoder {
 public:
  // Longer words are the unknown token, as upstream. It also bounds the time that a text takes: a
  // word of n characters costs at most n * n / 2 looks into a table.
  static constexpr size_t kMaxWordCharacters = 100;

  // Fails as Tokenizer::Create does.
  static Result<std::unique_ptr<const SegmentEncoder>> Create(const GgufMetadata& metadata,
                                                              const Vocabulary& vocabulary);

  void Encode(std::string_view segment, std::vector<TokenId>& ids) const override;

 private:
  WordPieceEncoder(const Vocabulary& vocabulary, BertNormalization normalization)
      : vocabulary_(vocabulary), normalization_(normalization) {}

  // Appends the tokens of a word with a space before it; false, and nothing appended, if it has
  // none.
  bool AppendPieces(std::string_view spaced, std::vector<TokenId>& ids) const;
  // The longest token that `text` starts with, of more than `min_bytes`. Sets `size` to its length.
  TokenId LongestToken(std::string_view text, size_t min_bytes, size_t& size) const;

  // Constant after construction.
  const Vocabulary& vocabulary_;
  BertNormalization normalization_;
};

}  // namespace forge
