#pragma once

#include <forge/v1/forge.pb.h>

#include <string>
#include <string_view>

#include "gateway/json_fields.h"

namespace forge::gateway {

// A token of an answer as chat completions describe it: {"token", "logprob", "bytes",
// "top_logprobs"}.
Json ChatLogprob(const v1::GenerateResponse::Token& token);

// Of a text in UTF-8.
size_t CountCharacters(std::string_view text);

// Those of several tokens as completions describe them: "tokens", "token_logprobs", "top_logprobs"
// and "text_offset", an array each.
class CompletionLogprobs {
 public:
  // `offset`: of the token's text in the answer, in characters.
  void Add(const v1::GenerateResponse::Token& token, size_t offset);
  Json ToJson() const;

 private:
  Json tokens_ = Json::array();
  Json logprobs_ = Json::array();
  Json tops_ = Json::array();
  Json offsets_ = Json::array();
};

}  // namespace forge::gateway
