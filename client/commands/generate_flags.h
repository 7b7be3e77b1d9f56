#pragma once

#include <forge/v1/forge.pb.h>

#include <CLI/App.hpp>
#include <optional>
#include <string>
#include <vector>

#include "client/commands/chat_flags.h"

namespace forge::client {

// The command line of `generate`.
struct GenerateFlags {
  std::string model;
  std::vector<std::string> prompt;  // "-": standard input stands here
  std::string system;
  std::vector<int32_t> token_ids;
  bool chat = false;  // neither chat nor raw: chat where the model has a template
  bool raw = false;
  bool verbose = false;
  bool ignore_end_of_text = false;
  uint32_t max_tokens = 0;
  uint32_t top_logprobs = 0;
  std::string json_schema;  // the schema itself, or the name of its file
  std::string grammar_file;
  std::vector<std::string> stop_strings;
  std::vector<int32_t> stop_tokens;
  ChatFlags chat_flags;
  std::vector<std::string> logit_bias;  // "ID=VALUE"
  std::optional<float> temperature, top_p, min_p, typical_p;
  std::optional<float> repetition_penalty, presence_penalty, frequency_penalty;
  std::optional<int32_t> top_k, penalty_window;
  std::optional<uint64_t> seed;
};

// The options of SamplingOptions; shared with `chat`.
void AddSamplingFlags(CLI::App& command, GenerateFlags& flags);
void AddGenerateFlags(CLI::App& command, GenerateFlags& flags);

// Everything of a turn but its prompt. Throws CLI::ValidationError for a malformed --logit-bias and
// for a file that cannot be read.
v1::GenerateRequest::Turn ToTurn(const GenerateFlags& flags);

}  // namespace forge::client
