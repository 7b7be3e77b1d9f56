#include <cmath>
#include <cstdio>
#include <iostream>

#include "client/commands/command.h"
#include "client/commands/value_checks.h"
#include "client/terminal/interrupt.h"
#include "client/terminal/json_output.h"
#include "client/terminal/quote.h"
#include "client/terminal/text_table.h"
#include "client/terminal/units.h"
#include "client/text_input.h"

namespace forge::client {

namespace {

struct ScoreOptions {
  std::string model;
  std::string text;
  std::vector<int32_t> token_ids;
  uint32_t top = 0;
  bool skip_special = false;
  bool parse_special = false;
};

v1::ScoreRequest RequestOf(const ScoreOptions& options) {
  v1::ScoreRequest request;
  request.set_model(options.model);
  request.set_top_logprobs(options.top);
  if (!options.token_ids.empty()) {
    request.mutable_input()->mutable_tokens()->mutable_ids()->Add(options.token_ids.begin(),
                                                                  options.token_ids.end());
    return request;
  }
  v1::TextPrompt& text = *request.mutable_input()->mutable_text();
  text.set_text(options.text == "-" ? ReadStandardInput() : options.text);
  text.set_skip_special(options.skip_special);
  text.set_parse_special(options.parse_special);
  return request;
}

void AddRows(const v1::ScoreResponse::Scores& scores, TextTable& table) {
  for (const v1::TokenScore& score : scores.scores()) {
    std::string alternatives;
    for (const v1::TokenLogprob& top : score.top_logprobs())
      alternatives += (alternatives.empty() ? "" : "  ") + Quote(top.text()) + " " +
                      FormatFixed(top.logprob(), 4);
    table.AddRow({std::to_string(score.token()),
                  score.has_logprob() ? FormatFixed(score.logprob(), 4) : "-", Quote(score.text()),
                  alternatives});
  }
}

void PrintTotal(const v1::ScoreResponse::Finished& finished) {
  if (finished.scored_tokens() == 0) return;
  const double mean = finished.total_logprob() / finished.scored_tokens();
  std::cout << "total " << FormatFixed(finished.total_logprob(), 4) << " over "
            << finished.scored_tokens() << " tokens, perplexity " << FormatFixed(std::exp(-mean), 4)
            << '\n';
}

ExitCode RunScore(const ScoreOptions& options, const CommandContext& context) {
  if (options.text.empty() && options.token_ids.empty()) {
    std::cerr << "forgectl: no text: give one as argument, - for standard input, or --token-ids\n";
    return ExitCode::kUsage;
  }
  const v1::ScoreRequest request = RequestOf(options);
  BlockInterrupts();
  const Connection connection = context.Connect();
  grpc::ClientContext call;
  const auto stream = connection.stub().Score(&call, request);
  InterruptScope interrupts([&](int) { call.TryCancel(); });
  TextTable table({"ID", "LOGPROB", "TEXT", options.top > 0 ? "ALTERNATIVES" : ""});
  v1::ScoreResponse response;
  v1::ScoreResponse::Finished finished;
  while (stream->Read(&response)) {
    if (context.json()) std::cout << ToJson(response) << std::endl;
    if (response.has_scores()) AddRows(response.scores(), table);
    if (response.has_finished()) finished = response.finished();
  }
  const grpc::Status status = stream->Finish();
  if (interrupts.interrupted()) return ExitCode::kInterrupted;
  if (!status.ok()) return ReportFailure(status, context);
  if (context.json()) return ExitCode::kOk;
  table.Print(std::cout);
  PrintTotal(finished);
  return ExitCode::kOk;
}

}  // namespace

void AddScore(CLI::App& app, CommandContext& context) {
  auto options = std::make_shared<ScoreOptions>();
  CLI::App* command = AddCommand(app, context, "score",
                                 "Show how probable each token of a text is after those before it",
                                 options, &RunScore);
  command->add_option("model", options->model, "Name as in 'forgectl list', or a path")->required();
  auto* text = command->add_option("text", options->text, "The text; - reads standard input");
  command
      ->add_option("--token-ids", options->token_ids,
                   "Token ids in place of a text, separated by commas")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(IsNotEmpty)
      ->excludes(text);
  command->add_option("--top", options->top, "Most likely alternatives shown for each token");
  command->add_flag("--skip-special", options->skip_special,
                    "Do not put the model's beginning-of-text token first");
  command->add_flag("--parse-special", options->parse_special,
                    "Read \"<|im_end|>\" and the like as control tokens");
}

}  // namespace forge::client
