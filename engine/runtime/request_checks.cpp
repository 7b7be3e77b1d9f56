#include "engine/runtime/request_checks.h"

namespace forge {

Status InvalidRequest(std::string_view field, const std::string& value, std::string_view range) {
  return InvalidArgument("request field out of range: " + std::string(field) + " must be " +
                         std::string(range) + ", not " + value)
      .WithReason("INVALID_REQUEST")
      .WithDetail("field", field)
      .WithDetail("value", value);
}

Status CheckTokens(std::string_view field, const std::vector<TokenId>& tokens, uint32_t n_vocab) {
  for (size_t i = 0; i < tokens.size(); ++i)
    if (tokens[i] < 0 || static_cast<uint32_t>(tokens[i]) >= n_vocab)
      return InvalidRequest(std::string(field) + "[" + std::to_string(i) + "]",
                            std::to_string(tokens[i]),
                            "a token id in [0, " + std::to_string(n_vocab) + ")");
  return Status();
}

Status CheckTopLogprobs(uint32_t n) {
  if (n <= kMaxTopLogprobs) return Status();
  return InvalidRequest("top_logprobs", std::to_string(n),
                        "at most " + std::to_string(kMaxTopLogprobs));
}

}  // namespace forge
