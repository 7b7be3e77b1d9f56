// Makes a vocabulary of any bytes, and encodes and decodes a text with it.
//
// The first byte chooses the pre-tokenizer, or SentencePiece; the second the options of encoding.
// Then a line for each entry of the vocabulary, up to a line "---"; the rest is the text. A line
// "left right" is a merge of byte-level BPE, any other an entry, whose first byte is its type.

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
constexpr std::array<std::string_view, 16> kPreTokenizers = {
    "gpt-2",       "qwen2",          "llama-bpe",
    "tekken",      "default",        "smollm",
    "gpt-4o",      "no-such",        /*kSentencePiece*/ "",
    "falcon",      "viking",         "deepseek-llm",
    "deepseek-v3", "deepseek-coder", "superbpe",
    "qwen35"};

VocabularyBuilder ReadVocabulary(uint8_t kind, std::string_view lines) {
  const bool is_sentence_piece = kind % kPreTokenizers.size() == kSentencePiece;
  VocabularyBuilder builder =
      is_sentence_piece
          ? VocabularyBuilder::SentencePiece()
          : VocabularyBuilder::BytePairs(kPreTokenizers[kind % kPreTokenizers.size()]);
  for (size_t n_entries = 0; n_entries < kMaxEntries && !lines.empty(); ++n_entries) {
    const std::string_view line = lines.substr(0, lines.find('\n'));
    lines.remove_prefix(std::min(lines.size(), line.size() + 1));
    if (line.empty()) continue;
    const size_t space = line.find(' ');
    if (!is_sentence_piece && space != std::string_view::npos && space > 0) {
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

void Run(uint8_t kind, uint8_t flags, std::string_view lines, std::string_view text) {
  const Result<std::unique_ptr<Tokenizer>> created =
      Tokenizer::Create(ReadVocabulary(kind, lines).Build());
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
  const std::string decoded = tokenizer.Decode(
      tokenizer.Encode(text, {.add_special = false, .parse_special = false}), false);
  // Qwen's pre-tokenizer composes characters first.
  const bool keeps_bytes = kind % 9 != 1;
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
