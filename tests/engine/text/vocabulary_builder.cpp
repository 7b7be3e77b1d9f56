#include "tests/engine/text/vocabulary_builder.h"

#include <algorithm>
#include <cstdio>
#include <limits>

#include "engine/text/utf8.h"
#include "kernels/base/check.h"

namespace forge::testing {
namespace {

GgufValue ArrayValue(GgufArray array) {
  GgufValue value;
  value.type = GgufType::kArray;
  value.value = std::move(array);
  return value;
}

}  // namespace

std::string ByteLevelCharacter(uint8_t byte) {
  const auto is_printable = [](int b) { return (b > 0x20 && b < 0x7f) || (b > 0xa0 && b != 0xad); };
  char32_t character = byte;
  if (!is_printable(byte)) {
    character = 0x100;
    for (int b = 0; b < byte; ++b) character += is_printable(b) ? 0 : 1;
  }
  std::string text;
  AppendUtf8(character, text);
  return text;
}

VocabularyBuilder VocabularyBuilder::BytePairs(std::string_view pre_tokenizer) {
  VocabularyBuilder builder;
  builder.model_ = "gpt2";
  builder.pre_tokenizer_ = pre_tokenizer;
  for (int byte = 0; byte < 256; ++byte)
    builder.AddToken(ByteLevelCharacter(static_cast<uint8_t>(byte)));
  return builder;
}

VocabularyBuilder VocabularyBuilder::SentencePiece() {
  VocabularyBuilder builder;
  builder.model_ = "llama";
  builder.pre_tokenizer_ = "default";
  builder.AddToken("<unk>", TokenType::kUnknown);
  builder.AddToken("<s>", TokenType::kControl);
  builder.AddToken("</s>", TokenType::kControl);
  for (unsigned byte = 0; byte < 256; ++byte) {
    char text[8];
    std::snprintf(text, sizeof(text), "<0x%02X>", byte);
    builder.AddToken(text, TokenType::kByte);
  }
  return builder;
}

VocabularyBuilder VocabularyBuilder::CharacterPairs() {
  VocabularyBuilder builder = SentencePiece();
  builder.model_ = "gemma4";
  builder.pre_tokenizer_.clear();
  return builder;
}

VocabularyBuilder VocabularyBuilder::WordPiece() {
  VocabularyBuilder builder;
  builder.model_ = "bert";
  builder.pre_tokenizer_ = "default";
  for (const char* const name : {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"})
    builder.AddToken(name, TokenType::kControl);
  return builder;
}

TokenId VocabularyBuilder::AddToken(std::string_view text, TokenType type, float score) {
  tokens_.emplace_back(text);
  types_.push_back(static_cast<int32_t>(type));
  scores_.push_back(score);
  return static_cast<TokenId>(tokens_.size() - 1);
}

TokenId VocabularyBuilder::AddMerge(std::string_view left, std::string_view right) {
  merges_.push_back(std::string(left) + ' ' + std::string(right));
  return AddToken(std::string(left) + std::string(right));
}

VocabularyBuilder& VocabularyBuilder::Set(std::string_view key, GgufValue value) {
  std::erase_if(set_, [&](const auto& entry) { return entry.first == key; });
  set_.emplace_back(key, std::move(value));
  return *this;
}

VocabularyBuilder& VocabularyBuilder::Remove(std::string_view key) {
  removed_.emplace_back(key);
  return *this;
}

GgufMetadata VocabularyBuilder::Build() const {
  GgufMetadata metadata;
  for (const auto& [key, value] : set_) FORGE_CHECK(metadata.Add(key, value).ok(), key);
  const auto add = [&](const std::string& key, GgufValue value) {
    if (metadata.Has(key) || std::count(removed_.begin(), removed_.end(), key) > 0) return;
    FORGE_CHECK(metadata.Add(key, std::move(value)).ok(), key);
  };
  add("tokenizer.ggml.model", StringValue(model_));
  if (!pre_tokenizer_.empty()) add("tokenizer.ggml.pre", StringValue(pre_tokenizer_));
  add("tokenizer.ggml.tokens", StringsValue(tokens_));
  add("tokenizer.ggml.token_type", Int32sValue(types_));
  if (model_ == "gpt2" || model_ == "gemma4") {
    add("tokenizer.ggml.merges", StringsValue(merges_));
  } else if (model_ == "llama") {
    add("tokenizer.ggml.scores", FloatsValue(scores_));
  }
  return metadata;
}

std::unique_ptr<Tokenizer> VocabularyBuilder::BuildTokenizer() const {
  return Tokenizer::Create(Build()).value();
}

GgufValue Uint32Value(uint32_t value) { return {GgufType::kUint32, 0, uint64_t{value}}; }
GgufValue Int32Value(int32_t value) { return {GgufType::kInt32, 0, int64_t{value}}; }
GgufValue BoolValue(bool value) { return {GgufType::kBool, 0, value}; }
GgufValue StringValue(std::string_view value) { return {GgufType::kString, 0, std::string(value)}; }
GgufValue StringsValue(const std::vector<std::string>& values) {
  std::string text;
  std::vector<uint64_t> ends;
  for (const std::string& value : values) {
    text += value;
    ends.push_back(text.size());
  }
  return ArrayValue({GgufType::kString, GgufStrings(std::move(text), std::move(ends))});
}
GgufValue Int32sValue(const std::vector<int32_t>& values) {
  return ArrayValue({GgufType::kInt32, values});
}
GgufValue Uint8sValue(const std::vector<uint8_t>& values) {
  return ArrayValue({GgufType::kUint8, values});
}
GgufValue FloatsValue(const std::vector<float>& values) {
  return ArrayValue({GgufType::kFloat32, values});
}

}  // namespace forge::testing
