#include "client/commands/generate_flags.h"

#include <CLI/Error.hpp>
#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <utility>

#include "client/commands/value_checks.h"
#include "client/text_input.h"

namespace forge::client {

namespace {

// "151645=-100" as id and value.
std::pair<int32_t, float> ParseLogitBias(const std::string& text) {
  int32_t id = 0;
  const char* end = text.data() + text.size();
  const auto [separator, error] = std::from_chars(text.data(), end, id);
  char* value_end = nullptr;
  const float value = separator < end ? std::strtof(separator + 1, &value_end) : 0.0f;
  const bool valid = error == std::errc() && separator < end && *separator == '=' &&
                     value_end == end && value_end != separator + 1;
  if (!valid)
    throw CLI::ValidationError("--logit-bias", "'" + text + "' is not ID=VALUE, as in 151645=-100");
  return {id, value};
}

// A schema is an object, a boolean or, for the daemon to refuse, other JSON; anything else is the
// name of a file.
std::string ReadSchema(const std::string& schema) {
  const size_t start = std::min(schema.find_first_not_of(" \t\r\n"), schema.size());
  const std::string word = schema.substr(start, schema.find_last_not_of(" \t\r\n") + 1 - start);
  const bool is_inline = word.find_first_of("{[\"") == 0 || word == "true" || word == "false";
  return is_inline ? schema : ReadTextFile("--json-schema", schema);
}

}  // namespace

void AddSamplingFlags(CLI::App& command, GenerateFlags& flags) {
  const auto group = "Sampling (the daemon's defaults if absent)";
  command.add_option("--temperature", flags.temperature, "0 takes the most likely token (0.8)")
      ->group(group);
  command.add_option("--top-k", flags.top_k, "0: off (40)")->group(group);
  command.add_option("--top-p", flags.top_p, "1: off (0.95)")->group(group);
  command.add_option("--min-p", flags.min_p, "0: off (0.05)")->group(group);
  command.add_option("--typical-p", flags.typical_p, "1: off (1)")->group(group);
  command.add_option("--repetition-penalty", flags.repetition_penalty, "1: off (1)")->group(group);
  command.add_option("--presence-penalty", flags.presence_penalty, "(0)")->group(group);
  command.add_option("--frequency-penalty", flags.frequency_penalty, "(0)")->group(group);
  command
      .add_option("--penalty-window", flags.penalty_window, "Last tokens looked at; -1: all (64)")
      ->group(group);
  command
      .add_option("--logit-bias", flags.logit_bias,
                  "ID=VALUE, added to the token's logit; may be repeated")
      ->allow_extra_args(false)
      ->group(group);
  command.add_option("--seed", flags.seed, "The same seed gives the same text (random)")
      ->check(IsUnsigned64)
      ->group(group);
}

void AddGenerateFlags(CLI::App& command, GenerateFlags& flags) {
  command.add_option("model", flags.model, "Name as in 'forgectl list', or a path")->required();
  auto* prompt = command.add_option(
      "prompt", flags.prompt,
      "The prompt as one argument; - before or behind it, or no prompt: standard input");
  auto* system = command.add_option("--system", flags.system, "System message of a chat");
  auto* chat = command.add_flag("--chat", flags.chat,
                                "Apply the model's chat template (the default where it has one)");
  command.add_flag("--raw", flags.raw, "Continue the prompt as plain text")
      ->excludes(chat)
      ->excludes(system);
  command.add_option("--token-ids", flags.token_ids, "Prompt as token ids, separated by commas")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(IsNotEmpty)
      ->excludes(prompt)
      ->excludes(chat)
      ->excludes(system);
  command.add_option("--max-tokens", flags.max_tokens, "0: until the model ends (0)");
  command.add_option("--stop", flags.stop_strings, "End before this text; may be repeated")
      ->allow_extra_args(false);  // what follows is the prompt
  command.add_option("--stop-token", flags.stop_tokens, "End at this token id; may be repeated")
      ->allow_extra_args(false);
  auto* schema =
      command
          .add_option("--json-schema", flags.json_schema,
                      "Answer with JSON that validates: a schema, or the name of its file")
          ->check(IsNotEmpty);
  command
      .add_option("--grammar", flags.grammar_file,
                  "Answer with a text of the grammar in this file (GBNF)")
      ->check(IsNotEmpty)
      ->excludes(schema);
  command.add_option("--top-logprobs", flags.top_logprobs,
                     "Alternatives shown for each token, with -o json");
  command.add_flag("--ignore-end", flags.ignore_end_of_text, "Go on past the end-of-text token");
  command.add_flag("-v,--verbose", flags.verbose, "Print token counts and speeds at the end");
  AddChatFlags(command, flags.chat_flags);
  AddSamplingFlags(command, flags);
}

v1::GenerateRequest::Turn ToTurn(const GenerateFlags& flags) {
  if ((flags.raw || !flags.token_ids.empty()) && flags.chat_flags.any())
    throw CLI::ValidationError(
        flags.raw ? "--raw" : "--token-ids",
        "makes no chat, which --tools, --template-option and --no-think are for");
  v1::GenerateRequest::Turn turn;
  turn.set_model(flags.model);
  turn.set_max_tokens(flags.max_tokens);
  turn.set_top_logprobs(flags.top_logprobs);
  turn.set_ignore_end_of_text(flags.ignore_end_of_text);
  if (!flags.json_schema.empty()) turn.set_json_schema(ReadSchema(flags.json_schema));
  if (!flags.grammar_file.empty()) turn.set_grammar(ReadTextFile("--grammar", flags.grammar_file));
  for (const std::string& text : flags.stop_strings) turn.add_stop_strings(text);
  for (const int32_t token : flags.stop_tokens) turn.add_stop_tokens(token);
  v1::SamplingOptions& sampling = *turn.mutable_sampling();
  if (flags.temperature) sampling.set_temperature(*flags.temperature);
  if (flags.top_k) sampling.set_top_k(*flags.top_k);
  if (flags.top_p) sampling.set_top_p(*flags.top_p);
  if (flags.min_p) sampling.set_min_p(*flags.min_p);
  if (flags.typical_p) sampling.set_typical_p(*flags.typical_p);
  if (flags.repetition_penalty) sampling.set_repetition_penalty(*flags.repetition_penalty);
  if (flags.presence_penalty) sampling.set_presence_penalty(*flags.presence_penalty);
  if (flags.frequency_penalty) sampling.set_frequency_penalty(*flags.frequency_penalty);
  if (flags.penalty_window) sampling.set_penalty_window(*flags.penalty_window);
  if (flags.seed) sampling.set_seed(*flags.seed);
  for (const std::string& text : flags.logit_bias) {
    const auto [id, value] = ParseLogitBias(text);
    (*sampling.mutable_logit_bias())[id] = value;
  }
  return turn;
}

}  // namespace forge::client
