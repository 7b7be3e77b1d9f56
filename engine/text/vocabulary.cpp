#include "engine/text/vocabulary.h"

#include <algorithm>
#include <initializer_list>
#include <limits>
#include <span>

#include "engine/gguf/gguf_fault.h"
#include "engine/text/byte_alphabet.h"
#include "engine/text/pre_tokenizer.h"
#include "engine/text/vocabulary_checks.h"

namespace forge {
namespace {

constexpr std::string_view kEscapedSpace = "\xe2\x96\x81";  // U+2581, a space in SentencePiece

// Control tokens of these names end an answer, whatever the file's eos is. A token of such a name
// is one of control, whatever type a converter gave it (llama.cpp corrects the same names).
constexpr std::string_view kEndTokenNames[] = {
    "<|im_end|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<|end|>",
    "<|return|>",
    "<|call|>",
    "<end_of_turn>",
    "<turn|>",
    "<|tool_response>",
    "<|endoftext|>",
    "<|end_of_text|>",
    "<end_of_utterance>",
    "<|END_OF_TURN_TOKEN|>",
    "<EOT>",
    "_<EOT>",
    "[EOT]",
    "[EOS]",
};
// These end an answer only where they are typed as control tokens: a text may hold them as well.
constexpr std::string_view kEndTokenTags[] = {"<eos>", "</s>"};
constexpr std::string_view kGlmTurnNames[] = {"<|user|>", "<|observation|>"};
// The first control token of these names is the end of a turn, where no key names one.
constexpr std::string_view kEndOfTurnNames[] = {
    "<|eot_id|>", "<|im_end|>", "<|end|>", "<end_of_turn>", "<turn|>", "<|END_OF_TURN_TOKEN|>",
    "<EOT>",
};

bool IsSpecialType(TokenType type) {
  return type == TokenType::kControl || type == TokenType::kUnknown;
}

bool IsEndTokenName(std::string_view text) {
  return std::ranges::find(kEndTokenNames, text) != std::ranges::end(kEndTokenNames);
}

}  // namespace

std::string UnescapeSpaces(std::string_view token) {
  std::string text;
  text.reserve(token.size());
  for (size_t i = 0; i < token.size();) {
    const bool is_space = token.substr(i, kEscapedSpace.size()) == kEscapedSpace;
    text.push_back(is_space ? ' ' : token[i]);
    i += is_space ? kEscapedSpace.size() : 1;
  }
  return text;
}

Result<std::unique_ptr<const Vocabulary>> Vocabulary::Read(const GgufMetadata& metadata) {
  std::unique_ptr<Vocabulary> vocabulary(new Vocabulary);
  FORGE_TRY(vocabulary->ReadModel(metadata));
  FORGE_ASSIGN_OR_RETURN(const GgufStrings* const tokens, metadata.StringArray(kTokensKey));
  if (tokens == nullptr || tokens->empty())
    return MissingKey(kTokensKey, "the vocabulary, an array of at least one string");
  if (tokens->size() > static_cast<size_t>(std::numeric_limits<TokenId>::max()))
    return InvalidKey(metadata, kTokensKey, "a vocabulary has less than 2^31 tokens",
                      std::to_string(tokens->size()));
  FORGE_TRY(vocabulary->ReadTypes(metadata, tokens->size()));
  FORGE_TRY(vocabulary->ReadTexts(metadata, *tokens));
  vocabulary->BuildTables();
  FORGE_TRY(vocabulary->ReadSpecialTokens(metadata));
  FORGE_TRY(vocabulary->ReadFlags(metadata));
  vocabulary->FindEndTokens();
  return std::unique_ptr<const Vocabulary>(std::move(vocabulary));
}

Status Vocabulary::ReadModel(const GgufMetadata& metadata) {
  FORGE_ASSIGN_OR_RETURN(const std::optional<std::string_view> name, metadata.String(kModelKey));
  if (!name) return MissingKey(kModelKey, "\"gpt2\", \"llama\", \"gemma4\" or \"bert\"");
  if (*name == "gpt2") {
    model_ = Model::kBytePairs;
  } else if (*name == "llama") {
    model_ = Model::kSentencePiece;
  } else if (*name == "gemma4") {
    model_ = Model::kCharacterPairs;
  } else if (*name == "bert") {
    model_ = Model::kWordPiece;
  } else {
    return UnsupportedKey(
        metadata, kModelKey,
        "the tokenizer model is none of \"gpt2\", \"llama\", \"gemma4\" and \"bert\"; convert the "
        "model with one of these, or send token ids",
        QuoteText(*name));
  }
  return Status();
}

Status Vocabulary::ReadTypes(const GgufMetadata& metadata, size_t n_tokens) {
  FORGE_ASSIGN_OR_RETURN(const std::optional<std::vector<int32_t>> types,
                         metadata.Int32Array(kTypesKey));
  has_types_ = types.has_value();
  types_.assign(n_tokens, TokenType::kNormal);
  if (!types) return Status();
  if (types->size() != n_tokens)
    return InvalidKey(
        metadata, kTypesKey,
        "the array needs one element for each of " + std::to_string(n_tokens) + " tokens",
        std::to_string(types->size()) + " elements");
  for (size_t i = 0; i < n_tokens; ++i) {
    const int32_t type = (*types)[i];
    // 0, "undefined", is written by old converters for tokens that only pad the vocabulary.
    if (type < 0 || type > static_cast<int32_t>(TokenType::kByte))
      return InvalidKey(metadata, kTypesKey, "a token type is a number from 0 to 6",
                        std::to_string(type) + " for token " + std::to_string(i));
    types_[i] = type == 0 ? TokenType::kUnused : static_cast<TokenType>(type);
  }
  return Status();
}

Status Vocabulary::ReadTexts(const GgufMetadata& metadata, const GgufStrings& tokens) {
  byte_tokens_.fill(kNone);
  offsets_.reserve(tokens.size() + 1);
  offsets_.push_back(0);
  for (size_t i = 0; i < tokens.size(); ++i) {
    const std::string_view token = tokens[i];
    if (token.size() > kMaxTokenBytes)
      return InvalidKey(metadata, kTokensKey, "a token has at most 65536 bytes",
                        std::to_string(token.size()) + " bytes in token " + std::to_string(i));
    const std::optional<uint8_t> byte = ParseByteToken(token);
    if (!has_types_ && byte && escapes_spaces()) types_[i] = TokenType::kByte;
    if (IsEndTokenName(token)) types_[i] = TokenType::kControl;
    if (types_[i] == TokenType::kByte) {
      if (!byte)
        return InvalidKey(metadata, kTokensKey,
                          "a token of type BYTE is written \"<0x00>\" to \"<0xFF>\"",
                          QuoteText(token) + ", token " + std::to_string(i));
      texts_.push_back(static_cast<char>(*byte));
      if (byte_tokens_[*byte] == kNone) byte_tokens_[*byte] = static_cast<TokenId>(i);
    } else if (IsSpecialType(types_[i])) {
      texts_ += token;
    } else {
      texts_ += TextOf(token, types_[i]);
      // Converters write a plain space into user-defined tokens, which are found in the text as it
      // is. One that is written with U+2581 is what merges alone come to, as to a normal token.
      if (escapes_spaces() && types_[i] == TokenType::kUserDefined &&
          token.find(kEscapedSpace) != token.npos)
        types_[i] = TokenType::kNormal;
    }
    max_text_bytes_ = std::max(max_text_bytes_, texts_.size() - offsets_.back());
    offsets_.push_back(texts_.size());
  }
  return Status();
}

std::string Vocabulary::TextOf(std::string_view token, TokenType type) const {
  const bool is_user_defined = type == TokenType::kUserDefined;
  switch (model_) {
    case Model::kBytePairs:
      return is_user_defined ? std::string(token) : BytesOfByteLevelToken(token);
    case Model::kSentencePiece:
    case Model::kCharacterPairs:
      return UnescapeSpaces(token);
    case Model::kWordPiece:
      break;
  }
  // Converters mark what begins a word, and all user-defined tokens, which upstream finds anywhere.
  // Any further U+2581 is that character.
  if (!token.starts_with(kEscapedSpace)) return std::string(token);
  std::string text(is_user_defined ? 0 : 1, ' ');
  text += token.substr(kEscapedSpace.size());
  return text;
}

bool Vocabulary::IsUnmergeable(TokenId token) const {
  if (IsSpecialType(type(token))) return true;
  if (model_ == Model::kWordPiece) return type(token) == TokenType::kUserDefined;
  // Merges write U+2581 for a space, so they never come to a token that has a plain one.
  return escapes_spaces() && type(token) == TokenType::kUserDefined &&
         text(token).find(' ') != std::string_view::npos;
}

void Vocabulary::BuildTables() {
  size_t n_special = 0;
  for (TokenId id = 0; static_cast<size_t>(id) < size(); ++id)
    n_special += IsUnmergeable(id) ? 1 : 0;
  special_table_ = TokenTable(n_special);
  text_table_ = TokenTable(size() - n_special);
  for (TokenId id = 0; static_cast<size_t>(id) < size(); ++id) {
    if (text(id).empty() || type(id) == TokenType::kByte) continue;
    (IsUnmergeable(id) ? special_table_ : text_table_).Insert(text(id), id);
  }
  if (model_ != Model::kBytePairs) return;
  for (size_t byte = 0; byte < byte_tokens_.size(); ++byte) {
    const char character = static_cast<char>(byte);
    byte_tokens_[byte] = FindText({&character, 1});
  }
}

TokenId Vocabulary::DefaultSpecial(TokenId id, TokenType wanted, std::string_view name) const {
  if (model_ != Model::kSentencePiece || static_cast<size_t>(id) >= size()) return kNone;
  return type(id) == wanted || text(id) == name ? id : kNone;
}

TokenId Vocabulary::FindNamed(std::string_view name) const {
  const TokenId special = FindSpecial(name);
  return special != kNone ? special : FindText(name);
}

// What upstream puts around every text are its classifier and separator tokens, which most files
// name as bos and eos too.
void Vocabulary::ReadWordPieceTokens(const GgufMetadata& metadata) {
  const auto first_of = [&](std::initializer_list<std::string_view> keys,
                            std::string_view name) -> std::optional<TokenId> {
    for (const std::string_view key : keys) {
      const Result<std::optional<uint32_t>> id = metadata.Uint32(key);
      if (id.ok() && *id) return static_cast<TokenId>(**id);
    }
    const TokenId named = FindNamed(name);
    return named != kNone ? std::optional(named) : std::nullopt;
  };
  special_.bos = first_of({kClsKey, kBosKey}, "[CLS]");
  special_.eos = first_of({kSepKey, kEosKey}, "[SEP]");
  special_.unknown = first_of({kUnknownKey}, "[UNK]");
  special_.pad = first_of({kPadKey}, "[PAD]");
}

Status Vocabulary::ReadSpecialTokens(const GgufMetadata& metadata) {
  FORGE_TRY(CheckTokenIdKeys(metadata, size()));
  const auto id_of = [&](std::string_view key, TokenId fallback) -> std::optional<TokenId> {
    const Result<std::optional<uint32_t>> id = metadata.Uint32(key);  // CheckTokenIdKeys passed it
    if (id.ok() && *id) return static_cast<TokenId>(**id);
    return fallback == kNone ? std::nullopt : std::optional(fallback);
  };
  // The ids that SentencePiece itself assumes. Byte-level vocabularies have no such convention.
  special_.bos = id_of(kBosKey, DefaultSpecial(1, TokenType::kControl, "<s>"));
  special_.eos = id_of(kEosKey, DefaultSpecial(2, TokenType::kControl, "</s>"));
  special_.unknown = id_of(kUnknownKey, DefaultSpecial(0, TokenType::kUnknown, "<unk>"));
  special_.pad = id_of(kPadKey, kNone);
  special_.eot = id_of(kEotKey, kNone);
  if (model_ == Model::kWordPiece) ReadWordPieceTokens(metadata);
  for (const std::string_view name : kEndOfTurnNames) {
    if (special_.eot) break;
    const TokenId id = FindSpecial(name);
    if (id != kNone && type(id) == TokenType::kControl) special_.eot = id;
  }
  if (special_.eot == special_.eos) special_.eot.reset();
  if (!has_types_) MarkSpecialTokens();
  return Status();
}

void Vocabulary::MarkSpecialTokens() {
  for (const std::optional<TokenId>& id : {special_.bos, special_.eos, special_.eot, special_.pad})
    if (id) types_[static_cast<size_t>(*id)] = TokenType::kControl;
  if (special_.unknown) types_[static_cast<size_t>(*special_.unknown)] = TokenType::kUnknown;
  BuildTables();
}

Status Vocabulary::ReadFlags(const GgufMetadata& metadata) {
  FORGE_ASSIGN_OR_RETURN(const std::optional<std::string_view> pre, metadata.String(kPreKey));
  const PreTokenizer* const pre_tokenizer = FindPreTokenizer(pre.value_or("default"));
  const bool is_sentence_piece = model_ == Model::kSentencePiece;
  const bool is_word_piece = model_ == Model::kWordPiece;
  const bool adds_bos_by_default =
      escapes_spaces() || is_word_piece || (pre_tokenizer != nullptr && pre_tokenizer->adds_bos);

  FORGE_ASSIGN_OR_RETURN(const std::optional<bool> add_bos, metadata.Bool(kAddBosKey));
  FORGE_ASSIGN_OR_RETURN(const std::optional<bool> add_eos, metadata.Bool(kAddEosKey));
  FORGE_ASSIGN_OR_RETURN(const std::optional<bool> add_space, metadata.Bool(kAddSpacePrefixKey));
  special_.add_bos = special_.bos && add_bos.value_or(adds_bos_by_default);
  special_.add_eos = special_.eos && add_eos.value_or(is_word_piece);
  add_space_prefix_ = !is_word_piece && add_space.value_or(is_sentence_piece);
  return Status();
}

void Vocabulary::FindEndTokens() {
  const auto find = [this](std::string_view name) {
    const TokenId id = FindSpecial(name);
    return id != kNone && type(id) == TokenType::kControl ? id : kNone;
  };
  for (const std::optional<TokenId>& id : {special_.eos, special_.eot})
    if (id) end_tokens_.push_back(*id);
  const auto add = [&](std::span<const std::string_view> names) {
    for (const std::string_view name : names)
      if (find(name) != kNone) end_tokens_.push_back(find(name));
  };
  add(kEndTokenNames);
  add(kEndTokenTags);
  // In the format of gpt-oss <|end|> closes a message, and the answer goes on with the next one.
  if (find("<|return|>") != kNone && find("<|call|>") != kNone && find("<|channel|>") != kNone)
    std::erase(end_tokens_, find("<|end|>"));
  // GLM opens the next turn instead of closing its own.
  if (find("[gMASK]") != kNone) add(kGlmTurnNames);
}

bool Vocabulary::EndsGeneration(TokenId token) const {
  return std::find(end_tokens_.begin(), end_tokens_.end(), token) != end_tokens_.end();
}

}  // namespace forge
