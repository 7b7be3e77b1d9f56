#include <utility>

#include "engine/text/tokenizer.h"
#include "engine/text/utf8.h"

namespace forge {
namespace {

constexpr std::string_view kReplacement = "\xef\xbf\xbd";  // U+FFFD

}  // namespace

StreamDecoder::StreamDecoder(const Tokenizer& tokenizer, bool skip_leading_space)
    : tokenizer_(tokenizer),
      skip_leading_space_(skip_leading_space && tokenizer.AddsSpaceAtStart()) {}

std::string StreamDecoder::Add(TokenId token) {
  const std::string bytes = tokenizer_.TokenBytes(token, false);
  const bool is_special = tokenizer_.AddsSpaceAfter(token);
  const bool has_space = skip_leading_space_ && !is_special && bytes.starts_with(' ');
  skip_leading_space_ = is_special || (skip_leading_space_ && bytes.empty());
  pending_ += std::string_view(bytes).substr(has_space ? 1 : 0);

  std::string text;
  size_t position = 0;
  while (position < pending_.size()) {
    const Utf8Step step = DecodeUtf8(pending_, position);
    if (step.kind == Utf8Step::Kind::kTruncated) break;
    text += step.kind == Utf8Step::Kind::kCharacter
                ? std::string_view(pending_).substr(position, step.size)
                : kReplacement;
    position += step.size;
  }
  pending_.erase(0, position);
  return text;
}

std::string StreamDecoder::Finish() {
  return std::exchange(pending_, std::string()).empty() ? std::string() : std::string(kReplacement);
}

}  // namespace forge
