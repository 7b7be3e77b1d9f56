#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/gguf/gguf_metadata.h"
#include "engine/text/jinja/text.h"
#include "kernels/base/result.h"

namespace forge {

using TokenId = int32_t;

// The tokens that have a meaning beyond their text; nullopt where the vocabulary has none.
struct SpecialTokens {
  std::optional<TokenId> bos;
  std::optional<TokenId> eos;
  std::optional<TokenId> eot;  // end of a chat turn, where it differs from eos
  std::optional<TokenId> pad;
  std::optional<TokenId> unknown;
  bool add_bos = false;  // the model was trained with bos before every text; bos is set then
  bool add_eos = false;
};

class SegmentEncoder;
class SpecialMatcher;
class Vocabulary;

// Turns text into token ids and back, as the model's vocabulary defines it.
//
// Thread-safe: immutable after construction.
class Tokenizer {
 public:
  // Builds the tokenizer that the keys `tokenizer.ggml.*` describe. kInvalidArgument (reason
  // MODEL_FILE_INVALID) naming key and value for a malformed vocabulary; kUnimplemented (reason
  // ARCHITECTURE_UNSUPPORTED) for an unknown model or pre-tokenizer. Keeps no reference to
  // `metadata`.
  static Result<std::unique_ptr<Tokenizer>> Create(const GgufMetadata& metadata);

  ~Tokenizer();
  Tokenizer(const Tokenizer&) = delete;
  Tokenizer& operator=(const Tokenizer&) = delete;

  struct EncodeOptions {
    // bos and eos as the model wants them. A bos or eos that parse_special finds at that end of the
    // text is not added a second time, so prompts of chat templates that write bos are safe.
    bool add_special = true;
    bool parse_special = false;  // "<|im_end|>" in the text becomes the control token
    // Where it does not, whatever parse_special says: sorted, without overlaps.
    std::span<const jinja::ByteRange> literal = {};
    bool continues_text = false;  // no space goes before the text, as at the start of one
  };
  // Any bytes are accepted; those that are not UTF-8 become byte tokens, or the unknown token, or
  // nothing in "bert".
  // Time grows as n log n on any text. Callers bound the size of what strangers send.
  std::vector<TokenId> Encode(std::string_view text, const EncodeOptions& options) const;

  // The bytes a token stands for; may be part of a UTF-8 character. Control tokens and the unknown
  // token give their name ("<|im_end|>") if `render_special`, else nothing. REQUIRES: 0 <= token <
  // n_tokens().
  std::string TokenBytes(TokenId token, bool render_special) const;
  // The text of a whole sequence, the inverse of Encode (SentencePiece's leading space removed). Of
  // "bert", which keeps no spaces, the normalised words with a space before each.
  // Raw bytes: valid UTF-8 only if the tokens are. REQUIRES: every token as for TokenBytes.
  std::string Decode(std::span<const TokenId> tokens, bool render_special) const;

  size_t n_tokens() const;
  bool IsControl(TokenId token) const;
  // True for eos, eot and the other tokens that end an answer.
  bool EndsGeneration(TokenId token) const;
  const SpecialTokens& special() const;
  // The token that stands for exactly these bytes; a control token is found by its name. The lowest
  // id where there are several.
  std::optional<TokenId> FindToken(std::string_view text) const;
  // What the file calls it: "gpt2", "llama", "gemma4" or "bert".
  std::string_view model_name() const;
  // Whether tokens have a space that the text does not at its start, or where it follows a special
  // token: what Decode and StreamDecoder take away again after `token`.
  bool AddsSpaceAfter(TokenId token) const;
  bool AddsSpaceAtStart() const;

 private:
  Tokenizer();

  // Constant after construction.
  std::unique_ptr<const Vocabulary> vocabulary_;
  std::unique_ptr<const SpecialMatcher> matcher_;
  std::unique_ptr<const SegmentEncoder> encoder_;
};

// Turns a stream of tokens into text that never ends within a UTF-8 character.
//
// Invariant: the concatenation of everything returned is valid UTF-8; bytes that can no longer
// become a character are replaced by U+FFFD. Control tokens give nothing.
// Not thread-safe. Lifetime: the tokenizer must outlive it.
class StreamDecoder {
 public:
  // `skip_leading_space`: drop the space that AddsSpaceAtStart tells of, when this stream starts
  // a text (false when it continues a prompt).
  StreamDecoder(const Tokenizer& tokenizer, bool skip_leading_space);

  // The text that has become certain with this token; may be empty. REQUIRES: as TokenBytes.
  std::string Add(TokenId token);
  // What is left at the end of the stream.
  std::string Finish();
  // Some of what was added did not come out yet.
  bool holds_back() const { return !pending_.empty(); }

 private:
  const Tokenizer& tokenizer_;
  bool skip_leading_space_;
  std::string pending_;  // the start of a character that is not complete, at most 3 bytes
};

}  // namespace forge
