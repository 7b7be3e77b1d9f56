#include "engine/runtime/chat_prompt.h"

#include <algorithm>
#include <string>
#include <string_view>

namespace forge {
namespace {

// The ranges of a text from `begin` on.
std::vector<jinja::ByteRange> LiteralFrom(const jinja::Text& text, size_t begin) {
  std::vector<jinja::ByteRange> ranges;
  for (const jinja::ByteRange& range : text.literal)
    if (range.end > begin)
      ranges.push_back({std::max(range.begin, begin) - begin, range.end - begin});
  return ranges;
}

}  // namespace

std::vector<TokenId> EncodeRendered(const Tokenizer& tokenizer, const jinja::Text& rendered) {
  // The template wrote bos where it belongs.
  return tokenizer.Encode(
      rendered.bytes, {.add_special = false, .parse_special = true, .literal = rendered.literal});
}

ChatPrompt FitToCache(const Tokenizer& tokenizer, const jinja::Text& rendered,
                      std::span<const TokenId> cached) {
  ChatPrompt prompt;
  const std::string text = tokenizer.Decode(cached, /*render_special=*/true);
  if (!cached.empty() && rendered.bytes.size() > text.size() && rendered.bytes.starts_with(text)) {
    // Models may cut their words in other ways than the tokenizer does, so texts are compared.
    const std::vector<jinja::ByteRange> literal = LiteralFrom(rendered, text.size());
    prompt.tokens = tokenizer.Encode(std::string_view(rendered.bytes).substr(text.size()),
                                     {.add_special = false,
                                      .parse_special = true,
                                      .literal = literal,
                                      .continues_text = !tokenizer.IsControl(cached.back())});
    prompt.keep_tokens = static_cast<uint32_t>(cached.size());
    if (!prompt.tokens.empty()) return prompt;
  }
  const std::vector<TokenId> all = EncodeRendered(tokenizer, rendered);
  auto [end, cached_end] = std::mismatch(all.begin(), all.end(), cached.begin(), cached.end());
  // At least one token is computed: the logits after it choose the next.
  if (end == all.end() && end != all.begin()) --end;
  prompt.keep_tokens = static_cast<uint32_t>(end - all.begin());
  prompt.tokens.assign(end, all.end());
  return prompt;
}

}  // namespace forge
