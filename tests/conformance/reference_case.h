#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "engine/text/chat_template.h"
#include "engine/text/tokenizer.h"

namespace forge::testing {

// What a reference implementation said before a token was chosen greedily.
struct ReferenceStep {
  TokenId token;
  std::vector<std::pair<TokenId, double>> top;  // log-probabilities, descending
};

// A prompt and the greedy steps after it.
struct ReferenceCase {
  std::vector<TokenId> prompt;
  std::vector<ReferenceStep> steps;
  // Where the file has them, else empty or 0.
  std::vector<ChatMessage> messages;  // that the prompt was made of
  std::string text;                   // of the whole greedy answer
  double min_margin = 0.0;            // between the two best tokens, the least of all its steps
};

// Reads `cases` of a reference file. Aborts if it is malformed: it is part of the test.
std::vector<ReferenceCase> ReadReferenceCases(const std::filesystem::path& json_path);

// The most likely token.
TokenId MostLikely(std::span<const float> logits);

// How far the log-probabilities of `logits` are from those listed, at most.
double LargestDeviation(std::span<const float> logits, const ReferenceStep& step);

// KL(reference ‖ logits) of the listed tokens and of all others together.
double KlDivergence(const ReferenceStep& step, std::span<const float> logits);

// KL(reference ‖ logits) of the whole distributions.
double KlDivergence(std::span<const float> reference, std::span<const float> logits);

// The files NAME.gguf in `directory` with one of the prefixes, sorted; empty if it does not exist.
std::vector<std::string> ModelNames(const std::filesystem::path& directory,
                                    const std::vector<std::string>& prefixes);

}  // namespace forge::testing
