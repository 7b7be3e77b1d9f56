#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/text/tokenizer.h"
#include "kernels/base/status.h"

namespace forge {

// Most alternatives reported with a token.
inline constexpr uint32_t kMaxTopLogprobs = 256;

// kInvalidArgument (reason INVALID_REQUEST): `field` must be `range`, not `value`.
Status InvalidRequest(std::string_view field, const std::string& value, std::string_view range);

// InvalidRequest naming the first id that is not in [0, n_vocab).
Status CheckTokens(std::string_view field, const std::vector<TokenId>& tokens, uint32_t n_vocab);
Status CheckTopLogprobs(uint32_t n);

}  // namespace forge
