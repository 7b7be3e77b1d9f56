#include "engine/text/vocabulary_checks.h"

#include <charconv>
#include <span>
#include <vector>

#include "engine/gguf/gguf_fault.h"

namespace forge {
namespace {

GgufField FieldOf(const GgufMetadata& metadata, std::string_view key, std::string value) {
  const GgufValue* const found = metadata.Find(key);
  return {EscapeText(key), std::move(value), found != nullptr ? found->offset : 0};
}

// The bytes of the array, whose element type is UINT8 or INT8; nullopt for any other type.
std::optional<std::span<const std::byte>> BytesOf(const GgufArray& array) {
  if (const auto* const bytes = std::get_if<std::vector<uint8_t>>(&array.values))
    return std::as_bytes(std::span(*bytes));
  if (const auto* const bytes = std::get_if<std::vector<int8_t>>(&array.values))
    return std::as_bytes(std::span(*bytes));
  return std::nullopt;
}

}  // namespace

Status InvalidKey(const GgufMetadata& metadata, std::string_view key, std::string_view rule,
                  std::string value) {
  return InvalidField(rule, FieldOf(metadata, key, std::move(value)));
}

Status MissingKey(std::string_view key, std::string_view expected) {
  return InvalidArgument("the model file has no key " + std::string(key) + "; it needs " +
                         std::string(expected))
      .WithReason(kModelFileInvalid)
      .WithDetail("field", key)
      .WithDetail("value", "absent");
}

Status UnsupportedKey(const GgufMetadata& metadata, std::string_view key, std::string_view rule,
                      std::string value) {
  return UnsupportedField(rule, FieldOf(metadata, key, std::move(value)));
}

Status CheckTokenIdKeys(const GgufMetadata& metadata, size_t n_tokens) {
  constexpr std::string_view kPrefix = "tokenizer.ggml.";
  constexpr std::string_view kSuffix = "_token_id";
  for (const std::string_view key : metadata.keys()) {
    if (!key.starts_with(kPrefix) || !key.ends_with(kSuffix)) continue;
    FORGE_ASSIGN_OR_RETURN(const std::optional<uint32_t> id, metadata.Uint32(key));
    if (id && *id >= n_tokens)
      return InvalidKey(
          metadata, key,
          "a token id is below the size of the vocabulary, " + std::to_string(n_tokens),
          std::to_string(*id));
  }
  return Status();
}

Status CheckCharsmap(const GgufMetadata& metadata) {
  FORGE_ASSIGN_OR_RETURN(const GgufArray* const array, metadata.Array(kCharsmapKey));
  if (array == nullptr) return Status();
  const std::optional<std::span<const std::byte>> bytes = BytesOf(*array);
  if (!bytes)
    return InvalidKey(metadata, kCharsmapKey, "the table is an array of UINT8 or INT8",
                      "array of " + std::string(GgufTypeName(array->element_type)));
  constexpr size_t kHeaderBytes = 4;  // size of the trie in bytes, little endian
  constexpr size_t kTrieUnitBytes = 4;
  if (bytes->size() < kHeaderBytes)
    return InvalidKey(metadata, kCharsmapKey, "the table has at least 4 bytes",
                      std::to_string(bytes->size()) + " bytes");
  size_t trie_bytes = 0;
  for (size_t i = 0; i < kHeaderBytes; ++i)
    trie_bytes |= std::to_integer<size_t>((*bytes)[i]) << (8 * i);
  if (trie_bytes > bytes->size() - kHeaderBytes || trie_bytes % kTrieUnitBytes != 0)
    return InvalidKey(metadata, kCharsmapKey,
                      "the trie is a multiple of 4 bytes and lies within the table of " +
                          std::to_string(bytes->size()) + " bytes",
                      "trie of " + std::to_string(trie_bytes) + " bytes");
  return Status();
}

std::optional<uint8_t> ParseByteToken(std::string_view token) {
  constexpr std::string_view kPrefix = "<0x";
  if (token.size() != 6 || !token.starts_with(kPrefix) || !token.ends_with('>'))
    return std::nullopt;
  const std::string_view digits = token.substr(kPrefix.size(), 2);
  uint8_t byte = 0;
  const auto [end, error] = std::from_chars(digits.begin(), digits.end(), byte, 16);
  if (error != std::errc() || end != digits.end()) return std::nullopt;
  return byte;
}

}  // namespace forge
