#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/gguf/gguf_metadata.h"
#include "engine/text/token_table.h"
#include "engine/text/tokenizer.h"
#include "kernels/base/result.h"

namespace forge {

// The numbers of tokenizer.ggml.token_type.
enum class TokenType : uint8_t {
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,      // has a meaning instead of a text
  kUserDefined = 4,  // found in a text before anything is merged
  kUnused = 5,
  kByte = 6,  // stands for the one byte that its text "<0xNN>" names
};

// Holds the tokens that the keys `tokenizer.ggml.*` of a hostile file describe: their bytes, their
// types and which of them are special. Knows nothing of merges and scores.
//
// Invariant: every id it hands out is below size(). Thread-safe: immutable. Not copied, because its
// tables refer to its own texts.
class Vocabulary {
 public:
  enum class Model {
    kBytePairs,       // "gpt2": byte-level BPE
    kSentencePiece,   // "llama"
    kCharacterPairs,  // "gemma4": SentencePiece's tokens with merges of pairs in place of scores
    kWordPiece,       // "bert"
  };
  static constexpr TokenId kNone = TokenTable::kNotFound;
  static constexpr size_t kMaxTokenBytes = 64 * 1024;

  // Fails as Tokenizer::Create does.
  static Result<std::unique_ptr<const Vocabulary>> Read(const GgufMetadata& metadata);

  Vocabulary(const Vocabulary&) = delete;
  Vocabulary& operator=(const Vocabulary&) = delete;

  Model model() const { return model_; }
  size_t size() const { return types_.size(); }
  // The bytes that a token stands for; a control token's name. One of WordPiece that begins a word
  // has a space before it. REQUIRES: 0 <= token < size().
  std::string_view text(TokenId token) const {
    const auto i = static_cast<size_t>(token);
    return std::string_view(texts_).substr(offsets_[i], offsets_[i + 1] - offsets_[i]);
  }
  TokenType type(TokenId token) const { return types_[static_cast<size_t>(token)]; }
  size_t max_text_bytes() const { return max_text_bytes_; }

  // Whether tokens are written with U+2581 for a space, and bytes have tokens of their own.
  bool escapes_spaces() const {
    return model_ == Model::kSentencePiece || model_ == Model::kCharacterPairs;
  }

  // The lowest id with this text among the tokens that merges may produce: the normal, user-defined
  // and unused ones, but for SentencePiece's user-defined ones with a plain space, and WordPiece's.
  // kNone if absent.
  TokenId FindText(std::string_view text) const { return text_table_.Find(text); }
  // The same among all others, control and unknown tokens above all.
  TokenId FindSpecial(std::string_view text) const { return special_table_.Find(text); }
  // The token of a single byte: of type kByte in SentencePiece, a normal one in byte-level BPE.
  TokenId byte_token(uint8_t byte) const { return byte_tokens_[byte]; }

  const SpecialTokens& special() const { return special_; }
  bool EndsGeneration(TokenId token) const;
  // Whether a space goes before a text that is encoded.
  bool add_space_prefix() const { return add_space_prefix_; }

 private:
  Vocabulary() = default;
  Status ReadModel(const GgufMetadata& metadata);
  Status ReadTypes(const GgufMetadata& metadata, size_t n_tokens);
  Status ReadTexts(const GgufMetadata& metadata, const GgufStrings& tokens);
  // What a token that is neither special nor of type kByte stands for.
  std::string TextOf(std::string_view token, TokenType type) const;
  // True for a token that no merge may produce.
  bool IsUnmergeable(TokenId token) const;
  void BuildTables();
  Status ReadSpecialTokens(const GgufMetadata& metadata);
  Status ReadFlags(const GgufMetadata& metadata);
  // Gives the special tokens of a file without types the types they would have.
  void MarkSpecialTokens();
  TokenId DefaultSpecial(TokenId id, TokenType type, std::string_view text) const;
  void ReadWordPieceTokens(const GgufMetadata& metadata);
  // The token of a special name, whatever its type; kNone if absent.
  TokenId FindNamed(std::string_view name) const;
  void FindEndTokens();

  // Constant after construction.
  Model model_ = Model::kBytePairs;
  bool has_types_ = false;
  std::vector<TokenType> types_;
  std::string texts_;            // of all tokens, one after another
  std::vector<size_t> offsets_;  // [size() + 1], into texts_
  size_t max_text_bytes_ = 0;
  TokenTable text_table_;
  TokenTable special_table_;
  std::array<TokenId, 256> byte_tokens_{};
  SpecialTokens special_;
  std::vector<TokenId> end_tokens_;
  bool add_space_prefix_ = false;
};

// A token of a vocabulary that escapes spaces, as the text that it stands for.
std::string UnescapeSpaces(std::string_view token);

}  // namespace forge
