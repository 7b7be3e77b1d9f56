#include "engine/text/tokenizer.h"

#include <utility>

#include "engine/text/byte_pair_encoder.h"
#include "engine/text/segment_encoder.h"
#include "engine/text/sentence_piece_encoder.h"
#include "engine/text/special_matcher.h"
#include "engine/text/vocabulary.h"
#include "engine/text/word_piece_encoder.h"
#include "kernels/base/check.h"

namespace forge {

Tokenizer::Tokenizer() = default;
Tokenizer::~Tokenizer() = default;

Result<std::unique_ptr<Tokenizer>> Tokenizer::Create(const GgufMetadata& metadata) {
  std::unique_ptr<Tokenizer> tokenizer(new Tokenizer);
  FORGE_ASSIGN_OR_RETURN(tokenizer->vocabulary_, Vocabulary::Read(metadata));
  const Vocabulary& vocabulary = *tokenizer->vocabulary_;
  switch (vocabulary.model()) {
    case Vocabulary::Model::kBytePairs: {
      FORGE_ASSIGN_OR_RETURN(tokenizer->encoder_, BytePairEncoder::Create(metadata, vocabulary));
      break;
    }
    case Vocabulary::Model::kSentencePiece:
    case Vocabulary::Model::kCharacterPairs: {
      FORGE_ASSIGN_OR_RETURN(tokenizer->encoder_,
                             SentencePieceEncoder::Create(metadata, vocabulary));
      break;
    }
    case Vocabulary::Model::kWordPiece: {
      FORGE_ASSIGN_OR_RETURN(tokenizer->encoder_, WordPieceEncoder::Create(metadata, vocabulary));
      break;
    }
  }
  tokenizer->matcher_ = std::make_unique<const SpecialMatcher>(vocabulary);
  return tokenizer;
}

std::vector<TokenId> Tokenizer::Encode(std::string_view text, const EncodeOptions& options) const {
  const SpecialTokens& special = vocabulary_->special();
  std::vector<TokenId> ids;
  if (options.add_special && special.add_bos) ids.push_back(*special.bos);
  const size_t n_added = ids.size();

  bool starts_text = !options.continues_text;
  for (size_t begin = 0; begin < text.size();) {
    const SpecialMatcher::Match match =
        matcher_->Next(text, begin, options.parse_special, options.literal);
    const std::string_view segment = text.substr(begin, match.begin - begin);
    if (!segment.empty()) {
      if (starts_text && vocabulary_->add_space_prefix()) {
        std::string spaced(1, ' ');
        spaced += segment;
        encoder_->Encode(spaced, ids);
      } else {
        encoder_->Encode(segment, ids);
      }
      starts_text = false;
    }
    if (match.size > 0) {
      ids.push_back(match.token);
      starts_text = true;
    }
    begin = match.begin + match.size;
  }

  const bool repeats_bos = n_added > 0 && ids.size() > n_added && ids[n_added] == *special.bos;
  if (repeats_bos) ids.erase(ids.begin());
  if (options.add_special && special.add_eos && (ids.empty() || ids.back() != *special.eos))
    ids.push_back(*special.eos);
  return ids;
}

std::string Tokenizer::TokenBytes(TokenId token, bool render_special) const {
  FORGE_CHECK(token >= 0 && static_cast<size_t>(token) < n_tokens(),
              "token id " + std::to_string(token) + " of " + std::to_string(n_tokens()));
  const TokenType type = vocabulary_->type(token);
  if (!render_special && (type == TokenType::kControl || type == TokenType::kUnknown))
    return std::string();
  return std::string(vocabulary_->text(token));
}

std::string Tokenizer::Decode(std::span<const TokenId> tokens, bool render_special) const {
  std::string text;
  bool skip_space = AddsSpaceAtStart();
  for (const TokenId token : tokens) {
    const std::string bytes = TokenBytes(token, render_special);
    const bool has_space = skip_space && !AddsSpaceAfter(token) && bytes.starts_with(' ');
    text += std::string_view(bytes).substr(has_space ? 1 : 0);
    skip_space = AddsSpaceAfter(token) || (skip_space && bytes.empty());
  }
  return text;
}

size_t Tokenizer::n_tokens() const { return vocabulary_->size(); }

bool Tokenizer::IsControl(TokenId token) const {
  return vocabulary_->type(token) == TokenType::kControl;
}

bool Tokenizer::EndsGeneration(TokenId token) const { return vocabulary_->EndsGeneration(token); }

const SpecialTokens& Tokenizer::special() const { return vocabulary_->special(); }

std::optional<TokenId> Tokenizer::FindToken(std::string_view text) const {
  const TokenId special = vocabulary_->FindSpecial(text);
  const TokenId id = special != Vocabulary::kNone ? special : vocabulary_->FindText(text);
  return id != Vocabulary::kNone ? std::optional(id) : std::nullopt;
}

std::string_view Tokenizer::model_name() const {
  switch (vocabulary_->model()) {
    case Vocabulary::Model::kBytePairs:
      return "gpt2";
    case Vocabulary::Model::kSentencePiece:
      return "llama";
    case Vocabulary::Model::kCharacterPairs:
      return "gemma4";
    case Vocabulary::Model::kWordPiece:
      break;
  }
  return "bert";
}

bool Tokenizer::AddsSpaceAtStart() const {
  // WordPiece has a space before every word, the first one of a text too.
  return vocabulary_->add_space_prefix() || vocabulary_->model() == Vocabulary::Model::kWordPiece;
}

bool Tokenizer::AddsSpaceAfter(TokenId token) const {
  const TokenType type = vocabulary_->type(token);
  return vocabulary_->add_space_prefix() &&
         (type == TokenType::kControl || type == TokenType::kUserDefined);
}

}  // namespace forge
