#pragma once

#include <forge/v1/forge.pb.h>

#include <cstdint>
#include <string>

namespace forge::client {

// The tokens that were computed before the answer: the prompt and what went before it, less what
// was in the cache.
uint32_t ComputedTokens(const v1::Usage& usage);

// ", 12 of 14 guesses right"; empty where nothing was guessed.
std::string GuessesText(const v1::Usage& usage);

// "263 tokens/s"; "-" for no time.
std::string FormatRate(uint32_t n_tokens, const google::protobuf::Duration& duration);

}  // namespace forge::client
