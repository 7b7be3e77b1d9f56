#include "tools/synth/synth_vocabulary.h"

#include "kernels/base/check.h"

namespace forge {
namespace {

constexpr int32_t kNormal = 1, kControl = 3;
constexpr uint32_t kBytes = 256;
constexpr const char* kControlTokens[] = {"<|endoftext|>", "<|im_start|>", "<|im_end|>"};

// The character that stands for a byte: printable Latin-1 itself, the others U+0100 and up.
std::string CharacterOfByte(uint32_t byte, uint32_t& next_free) {
  const bool is_itself =
      (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
  const uint32_t code = is_itself ? byte : next_free++;
  if (code < 0x80) return std::string(1, static_cast<char>(code));
  return {static_cast<char>(0xc0 | code >> 6), static_cast<char>(0x80 | (code & 0x3f))};
}

}  // namespace

SynthVocabulary MakeSynthVocabulary(uint32_t n_tokens) {
  const auto n_control = static_cast<uint32_t>(std::size(kControlTokens));
  FORGE_CHECK(n_tokens > kBytes + n_control && n_tokens <= 1u << 24, std::to_string(n_tokens));
  SynthVocabulary vocabulary;
  vocabulary.tokens.reserve(n_tokens);
  uint32_t next_free = 0x100;
  for (uint32_t byte = 0; byte < kBytes; ++byte)
    vocabulary.tokens.push_back(CharacterOfByte(byte, next_free));
  for (uint32_t k = 0; vocabulary.tokens.size() + n_control < n_tokens; ++k) {
    const std::string left = vocabulary.tokens[k / kBytes];
    const std::string right = vocabulary.tokens[k % kBytes];
    vocabulary.merges.push_back(left + " " + right);
    vocabulary.tokens.push_back(left + right);
  }
  vocabulary.types.assign(vocabulary.tokens.size(), kNormal);
  for (const char* token : kControlTokens) {
    vocabulary.tokens.emplace_back(token);
    vocabulary.types.push_back(kControl);
  }
  return vocabulary;
}

}  // namespace forge
