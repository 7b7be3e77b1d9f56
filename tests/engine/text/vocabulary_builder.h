#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/gguf/gguf_metadata.h"
#include "engine/text/tokenizer.h"
#include "engine/text/vocabulary.h"

namespace forge::testing {

// Describes small vocabularies for tests, valid ones and ones that are wrong in one place.
class VocabularyBuilder {
 public:
  // Byte-level BPE of the 256 bytes, whose ids are the bytes themselves.
  static VocabularyBuilder BytePairs(std::string_view pre_tokenizer = "gpt-2");
  // SentencePiece with "<unk>", "<s>", "</s>" as ids 0, 1, 2 and the bytes as ids 3 to 258.
  static VocabularyBuilder SentencePiece();

  // The same of pairs, as Gemma 4's: AddMerge takes the place of scores.
  static VocabularyBuilder CharacterPairs();

  // WordPiece with "[PAD]", "[UNK]", "[CLS]", "[SEP]" and "[MASK]" as ids 0 to 4.
  static VocabularyBuilder WordPiece();

  // The id of the new token. `text` is what the file holds ("Ġa", "▁a").
  TokenId AddToken(std::string_view text, TokenType type = TokenType::kNormal, float score = 0);
  // A merge of byte-level BPE or of pairs together with its result. The result's id.
  TokenId AddMerge(std::string_view left, std::string_view right);

  // Sets any key, in place of what the builder would write.
  VocabularyBuilder& Set(std::string_view key, GgufValue value);
  VocabularyBuilder& Remove(std::string_view key);

  GgufMetadata Build() const;
  // REQUIRES: the vocabulary is valid.
  std::unique_ptr<Tokenizer> BuildTokenizer() const;

 private:
  std::string model_;
  std::string pre_tokenizer_;
  std::vector<std::string> tokens_;
  std::vector<int32_t> types_;
  std::vector<float> scores_;
  std::vector<std::string> merges_;
  std::vector<std::pair<std::string, GgufValue>> set_;
  std::vector<std::string> removed_;
};

GgufValue Uint32Value(uint32_t value);
GgufValue Int32Value(int32_t value);
GgufValue BoolValue(bool value);
GgufValue StringValue(std::string_view value);
GgufValue StringsValue(const std::vector<std::string>& values);
GgufValue Int32sValue(const std::vector<int32_t>& values);
GgufValue Uint8sValue(const std::vector<uint8_t>& values);
GgufValue FloatsValue(const std::vector<float>& values);

// The character that byte-level vocabularies write for a byte.
std::string ByteLevelCharacter(uint8_t byte);

}  // namespace forge::testing
