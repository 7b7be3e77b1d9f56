#include "client/usage.h"

#include "client/terminal/units.h"

namespace forge::client {

uint32_t ComputedTokens(const v1::Usage& usage) {
  const uint64_t not_computed = uint64_t{usage.output_tokens()} + usage.cached_tokens();
  return usage.context_used() > not_computed
             ? usage.context_used() - static_cast<uint32_t>(not_computed)
             : 0;
}

std::string GuessesText(const v1::Usage& usage) {
  if (usage.drafted_tokens() == 0) return "";
  return ", " + std::to_string(usage.accepted_tokens()) + " of " +
         std::to_string(usage.drafted_tokens()) + " guesses right";
}

std::string FormatRate(uint32_t n_tokens, const google::protobuf::Duration& duration) {
  const double seconds = Seconds(duration);
  return seconds > 0.0 ? FormatFixed(n_tokens / seconds, 0) + " tokens/s" : "-";
}

}  // namespace forge::client
