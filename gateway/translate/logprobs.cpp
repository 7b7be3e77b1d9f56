#include "gateway/translate/logprobs.h"

#include <algorithm>
#include <cmath>

namespace forge::gateway {

namespace {

// The token's own text: that of the event may be empty, where a character is not whole yet.
std::string TextOf(const v1::GenerateResponse::Token& token) {
  for (const v1::TokenLogprob& alternative : token.top_logprobs()) {
    if (alternative.token() == token.id() && !alternative.text().empty()) return alternative.text();
  }
  return token.text();
}

// JSON has no infinity; OpenAI's API says -9999 of what is very unlikely.
float Finite(float logprob) { return std::isfinite(logprob) ? logprob : -9999.0f; }

Json Entry(const std::string& text, float logprob) {
  Json bytes = Json::array();
  for (const char c : text) bytes.push_back(static_cast<unsigned char>(c));
  // A part of a character shows as U+FFFD, whose bytes are not the token's.
  if (text.find("\xEF\xBF\xBD") != std::string::npos) bytes = nullptr;
  return {{"token", text}, {"logprob", Finite(logprob)}, {"bytes", std::move(bytes)}};
}

}  // namespace

Json ChatLogprob(const v1::GenerateResponse::Token& token) {
  Json entry = Entry(TextOf(token), token.logprob());
  Json& tops = entry["top_logprobs"] = Json::array();
  for (const v1::TokenLogprob& alternative : token.top_logprobs())
    tops.push_back(Entry(alternative.text(), alternative.logprob()));
  return entry;
}

size_t CountCharacters(std::string_view text) {
  return static_cast<size_t>(std::ranges::count_if(
      text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

void CompletionLogprobs::Add(const v1::GenerateResponse::Token& token, size_t offset) {
  tokens_.push_back(TextOf(token));
  logprobs_.push_back(Finite(token.logprob()));
  Json tops = Json::object();
  for (const v1::TokenLogprob& alternative : token.top_logprobs())
    // Several may show as the same text, as parts of characters do: the first is the most likely.
    tops.emplace(alternative.text(), Finite(alternative.logprob()));
  tops_.push_back(std::move(tops));
  offsets_.push_back(offset);
}

Json CompletionLogprobs::ToJson() const {
  return {{"tokens", tokens_},
          {"token_logprobs", logprobs_},
          {"top_logprobs", tops_},
          {"text_offset", offsets_}};
}

}  // namespace forge::gateway
