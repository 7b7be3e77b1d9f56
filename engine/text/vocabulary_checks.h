#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "engine/gguf/gguf_metadata.h"
#include "kernels/base/status.h"

// The keys of a tokenizer, and the errors that name them.
namespace forge {

inline constexpr std::string_view kModelKey = "tokenizer.ggml.model";
inline constexpr std::string_view kPreKey = "tokenizer.ggml.pre";
inline constexpr std::string_view kTokensKey = "tokenizer.ggml.tokens";
inline constexpr std::string_view kTypesKey = "tokenizer.ggml.token_type";
inline constexpr std::string_view kScoresKey = "tokenizer.ggml.scores";
inline constexpr std::string_view kMergesKey = "tokenizer.ggml.merges";
inline constexpr std::string_view kCharsmapKey = "tokenizer.ggml.precompiled_charsmap";
inline constexpr std::string_view kBosKey = "tokenizer.ggml.bos_token_id";
inline constexpr std::string_view kEosKey = "tokenizer.ggml.eos_token_id";
inline constexpr std::string_view kEotKey = "tokenizer.ggml.eot_token_id";
inline constexpr std::string_view kClsKey = "tokenizer.ggml.cls_token_id";
inline constexpr std::string_view kSepKey =
    "tokenizer.ggml.seperator_token_id";  // as GGUF spells it
inline constexpr std::string_view kUnknownKey = "tokenizer.ggml.unknown_token_id";
inline constexpr std::string_view kPadKey = "tokenizer.ggml.padding_token_id";
inline constexpr std::string_view kAddBosKey = "tokenizer.ggml.add_bos_token";
inline constexpr std::string_view kAddEosKey = "tokenizer.ggml.add_eos_token";
inline constexpr std::string_view kAddSpacePrefixKey = "tokenizer.ggml.add_space_prefix";
inline constexpr std::string_view kLowerCaseKey = "tokenizer.ggml.normalizer.lowercase";
inline constexpr std::string_view kStripAccentsKey = "tokenizer.ggml.normalizer.strip_accents";

// kInvalidArgument, reason MODEL_FILE_INVALID: `rule` says what is demanded of the key, `value`
// what was found.
Status InvalidKey(const GgufMetadata& metadata, std::string_view key, std::string_view rule,
                  std::string value);
// The same for a key that a tokenizer cannot do without.
Status MissingKey(std::string_view key, std::string_view expected);
// kUnimplemented, reason ARCHITECTURE_UNSUPPORTED.
Status UnsupportedKey(const GgufMetadata& metadata, std::string_view key, std::string_view rule,
                      std::string value);

// Checks that every key tokenizer.ggml.*_token_id that is present names one of `n_tokens` tokens.
Status CheckTokenIdKeys(const GgufMetadata& metadata, size_t n_tokens);

// Checks that the normalisation table of a SentencePiece model, where there is one, is as long as
// it says. The table itself is not used: no vocabulary of a supported model needs it.
Status CheckCharsmap(const GgufMetadata& metadata);

// The byte that "<0x0A>" names; nullopt for any other text. Both cases of digits are read.
std::optional<uint8_t> ParseByteToken(std::string_view token);

}  // namespace forge
