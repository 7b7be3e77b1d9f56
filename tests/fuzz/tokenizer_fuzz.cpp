// Makes a vocabulary of any bytes, and encodes and decodes a text with it.
//
// The first byte chooses the pre-tokenizer, or SentencePiece, or, from 64 on, its tokens with
// merges of pairs, or, from 128 on, WordPiece; the second the options of encoding, and whether
// WordPiece keeps case and accents. Then a line for each entry of the vocabulary, up to a line
// "---"; the rest is the text. A line "left right" is a merge of byte-level BPE or of pairs, any
// other an entry, whose first byte is its type.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/text/tokenizer.h"
#include "engine/text/utf8.h"
#include "kernels/base/check.h"
#include "tests/engine/text/vocabulary_builder.h"

namespace forge {
namespace {

using testing::VocabularyBuilder;

constexpr size_t kMaxEntries = 64;
constexpr uint8_t kSentencePiece = 8;
constexpr uint8_t kCharacterPairs = 64;
constexpr uint8_t kWordPiece = 128;
constexpr uint8_t kKeepsCase = 8, kKeepsAccents = 16;  // of the second byte
constexpr std::array<std::string_view, 16> kPreTokenizers = {
    "gpt-2",       "qwen2",          "llama-bpe",
    "tekken",      "default",        "smollm",
    "gpt-4o",      "no-such",        /*kSentencePiece*/ "",
    "falcon",      "viking",         "deepseek-llm",
    "deepseek-v3", "deepseek-coder", "superbpe",
    "qwen35"};

VocabularyBuilder EmptyVocabulary(uint8_t kind, uint8_t flags) {
  if (kind >= kWordPiece) {
    VocabularyBuilder builder = VocabularyBuilder::WordPiece();
    builder.Set("tokenizer.ggml.normalizer.lowercase",
                testing::BoolValue((flags & kKeepsCase) == 0));
    builder.Set("tokenizer.ggml.normalizer.strip_accents",
                testing::BoolValue((flags & kKeepsAccents) == 0));
    return builder;
  }
  if (kind >= kCharacterPairs) return VocabularyBuilder::CharacterPairs();
  const uint8_t index = kind % kPreTokenizers.size();
  return index == kSentencePiece ? VocabularyBuilder::SentencePiece()
                                 : VocabularyBuilder::BytePairs(kPreTokenizers[index]);
}

VocabularyBuilder ReadVocabulary(uint8_t kind, uint8_t flags, std::string_view lines) {
  const bool has_scores = kind < kCharacterPairs && kind % kPreTokenizers.size() == kSentencePiece;
  const bool has_merges = kind < kWordPiece && !has_scores;
  VocabularyBuilder builder = EmptyVocabulary(kind, flags);
  for (size_t n_entries = 0; n_entries < kMaxEntries && !lines.empty(); ++n_entries) {
    const std::string_view line = lines.substr(0, lines.find('\n'));
    lines.remove_prefix(std::min(lines.size(), line.size() + 1));
    if (line.empty()) continue;
    const size_t space = line.find(' ');
    if (has_merges && space != std::string_view::npos && space > 0) {
      builder.AddMerge(line.substr(0, space), line.substr(space + 1));
    } else {
      const auto type = static_cast<TokenType>(static_cast<uint8_t>(line[0]) % 8);
      builder.AddToken(line.substr(1), type, -static_cast<float>(line.size() % 5));
    }
  }
  return builder;
}

// `text` with each space that SentencePiece cannot tell from its own mark as that space.
std::string WithPlainSpaces(std::string_view text) {
  constexpr std::string_view kMark = "\u2581";
  std::string plain(text);
  for (size_t at = plain.find(kMark); at != std::string::npos; at = plain.find(kMark, at)) {
    plain.replace(at, kMark.size(), " ");
  }
  return plain;
}

// `bytes` with U+FFFD for what is no UTF-8.
std::string Repaired(std::string_view bytes) {
  std::string text;
  for (size_t at = 0; at < bytes.size();) {
    const Utf8Step step = DecodeUtf8(bytes, at);
    AppendUtf8(step.code_point, text);
    at += step.size;
  }
  return text;
}

void CheckStream(const Tokenizer& tokenizer, const std::vector<TokenId>& tokens) {
  StreamDecoder decoder(tokenizer, true);
  std::string streamed;
  for (const TokenId token : tokens) {
    streamed += decoder.Add(token);
    FORGE_CHECK(Repaired(streamed) == streamed, "a piece ends within a character");
  }
  streamed += decoder.Finish();
  FORGE_CHECK(streamed == Repaired(tokenizer.Decode(tokens, false)),
              "a stream is not the text of its tokens");
}

bool HasUserDefined(std::string_view lines) {
  while (!lines.empty()) {
    const std::string_view line = lines.substr(0, lines.find('\n'));
    lines.remove_prefix(std::min(lines.size(), line.size() + 1));
    const bool is_user_defined = !line.empty() && static_cast<uint8_t>(line[0]) % 8 ==
                                                      static_cast<uint8_t>(TokenType::kUserDefined);
    if (is_user_defined) return true;
  }
  return false;
}

// WordPiece keeps words, not texts: those that it knows are the same when they are read again. Not
// so with user-defined tokens, which what is decoded may spell by chance; nor with marks that come
// into another order where one between them is left out.
void CheckWords(const Tokenizer& tokenizer, bool strips_accents,
                const std::vector<TokenId>& tokens) {
  const std::string decoded = tokenizer.Decode(tokens, false);
  const bool is_ascii =
      std::ranges::none_of(decoded, [](char c) { return static_cast<uint8_t>(c) >= 0x80; });
  const bool has_unknown =
      std::ranges::any_of(tokens, [&](TokenId token) { return tokenizer.IsControl(token); });
  if (has_unknown || (strips_accents && !is_ascii)) return;
  FORGE_CHECK(tokenizer.Encode(decoded, {.add_special = false}) == tokens, "words have changed");
}

void Run(uint8_t kind, uint8_t flags, std::string_view lines, std::string_view text) {
  const Result<std::unique_ptr<Tokenizer>> created =
      Tokenizer::Create(ReadVocabulary(kind, flags, lines).Build());
  if (!created.ok()) {
    FORGE_CHECK(!created.status().reason().empty(), created.status().message());
    return;
  }
  const Tokenizer& tokenizer = **created;
  const std::vector<TokenId> tokens = tokenizer.Encode(text, {.add_special = (flags & 1) != 0,
                                                              .parse_special = (flags & 2) != 0,
                                                              .literal = {},
                                                              .continues_text = (flags & 4) != 0});
  for (const TokenId token : tokens) {
    FORGE_CHECK(token >= 0 && static_cast<size_t>(token) < tokenizer.n_tokens(),
                "a token that is none");
  }
  CheckStream(tokenizer, tokens);
  const std::vector<TokenId> plain =
      tokenizer.Encode(text, {.add_special = false, .parse_special = false});
  if (kind >= kWordPiece) {
    if (!HasUserDefined(lines)) CheckWords(tokenizer, (flags & kKeepsAccents) == 0, plain);
    return;
  }
  const std::string decoded = tokenizer.Decode(plain, false);
  // Qwen's pre-tokenizers compose characters first.
  const bool keeps_bytes =
      kind >= kCharacterPairs || !kPreTokenizers[kind % kPreTokenizers.size()].starts_with("qwen");
  if (keeps_bytes) {
    FORGE_CHECK(WithPlainSpaces(decoded) == WithPlainSpaces(text), "text got lost");
  }
}

}  // namespace
}  // namespace forge

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data) + 2, size - 2);
  constexpr std::string_view kSeparator = "\n---\n";
  const size_t separator = input.find(kSeparator);
  const bool has_lines = separator != std::string_view::npos;
  forge::Run(data[0], data[1], has_lines ? input.substr(0, separator) : std::string_view(),
             has_lines ? input.substr(separator + kSeparator.size()) : input);
  return 0;
}
