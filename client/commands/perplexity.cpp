#include "client/perplexity.h"

#include <cstdio>
#include <iostream>
#include <optional>

#include "client/commands/command.h"
#include "client/terminal/interrupt.h"
#include "client/terminal/progress_bar.h"
#include "client/terminal/units.h"
#include "client/text_input.h"

namespace forge::client {

namespace {

// llama.cpp's, so that figures compare.
constexpr uint32_t kDefaultContext = 512;

struct PerplexityOptions {
  std::string model;
  std::string path;
  uint32_t context_length = 0;
  uint32_t max_windows = 0;
  bool json = false;
};

// What the model needs to know of the text, and of itself.
struct Prepared {
  std::vector<int32_t> tokens;
  std::optional<int32_t> bos;  // put at the start of each window
  uint32_t context_length = 0;
};

grpc::Status Prepare(const PerplexityOptions& options, const Connection& connection,
                     const std::string& text, Prepared& prepared) {
  v1::GetModelRequest about;
  about.set_model(options.model);
  about.set_full(true);
  v1::GetModelResponse model;
  grpc::ClientContext first_call;
  grpc::Status status = connection.stub().GetModel(&first_call, about, &model);
  if (!status.ok()) return status;
  const v1::ModelDetails& details = model.model().details();
  for (const v1::SpecialToken& special : details.special_tokens())
    if (special.role() == "bos" && special.is_added()) prepared.bos = special.id();
  prepared.context_length = options.context_length != 0
                                ? options.context_length
                                : std::min(kDefaultContext, details.options().context_length());

  v1::TokenizeRequest request;
  request.set_model(options.model);
  request.set_text(text);
  request.set_add_special(true);
  v1::TokenizeResponse response;
  grpc::ClientContext second_call;
  status = connection.stub().Tokenize(&second_call, request, &response);
  prepared.tokens.assign(response.ids().begin(), response.ids().end());
  return status;
}

grpc::Status ScoreWindow(const std::string& model, const Connection& connection,
                         const PerplexityWindow& window, grpc::ClientContext& call,
                         Perplexity& perplexity) {
  v1::ScoreRequest request;
  request.set_model(model);
  request.mutable_input()->mutable_tokens()->mutable_ids()->Add(window.tokens.begin(),
                                                                window.tokens.end());
  const auto stream = connection.stub().Score(&call, request);
  v1::ScoreResponse response;
  for (size_t position = 0; stream->Read(&response);)
    for (const v1::TokenScore& score : response.scores().scores())
      if (position++ >= window.first_counted) perplexity.Add(static_cast<double>(score.logprob()));
  return stream->Finish();
}

void PrintResult(const Perplexity& perplexity, const Prepared& prepared, size_t n_windows,
                 bool json) {
  char line[256];
  const char* format = json ? "{\"perplexity\":%.6f,\"standardError\":%.6f,\"windows\":%zu,"
                              "\"contextLength\":%u,\"scoredTokens\":%llu,\"meanLogprob\":%.8f}\n"
                            : "PPL = %.4f +/- %.5f (%zu windows of %u tokens, %llu tokens scored, "
                              "mean log-probability %.6f)\n";
  std::snprintf(line, sizeof(line), format, perplexity.Value(), perplexity.StandardError(),
                n_windows, prepared.context_length,
                static_cast<unsigned long long>(perplexity.count()), perplexity.MeanLogprob());
  std::cout << line;
}

ExitCode Usage(const std::string& message) {
  std::cerr << "forgectl: " << message << '\n';
  return ExitCode::kUsage;
}

ExitCode RunPerplexity(const PerplexityOptions& options, const CommandContext& context) {
  const std::string text =
      options.path == "-" ? ReadStandardInput() : ReadTextFile("the text", options.path);
  BlockInterrupts();
  const Connection connection = context.Connect();
  Prepared prepared;
  grpc::Status status = Prepare(options, connection, text, prepared);
  if (!status.ok()) return ReportFailure(status, context);
  std::vector<PerplexityWindow> windows =
      CutWindows(prepared.tokens, prepared.context_length, prepared.bos);
  if (windows.empty())
    return Usage("the text has " + std::to_string(prepared.tokens.size()) +
                 " tokens, fewer than one window of " + std::to_string(prepared.context_length) +
                 "; take a longer text or a smaller --context");
  if (options.max_windows > 0 && windows.size() > options.max_windows)
    windows.resize(options.max_windows);

  Perplexity perplexity;
  ProgressBar bar;
  for (size_t i = 0; i < windows.size(); ++i) {
    grpc::ClientContext call;
    InterruptScope interrupts([&](int) { call.TryCancel(); });
    status = ScoreWindow(options.model, connection, windows[i], call, perplexity);
    if (interrupts.interrupted()) return ExitCode::kInterrupted;
    if (!status.ok()) break;
    bar.Show("perplexity", static_cast<double>(i + 1) / static_cast<double>(windows.size()),
             "window " + std::to_string(i + 1) + " of " + std::to_string(windows.size()) +
                 ", PPL " + FormatFixed(perplexity.Value(), 4));
  }
  bar.Clear();
  if (!status.ok()) return ReportFailure(status, context);
  PrintResult(perplexity, prepared, windows.size(), options.json || context.json());
  return ExitCode::kOk;
}

}  // namespace

void AddPerplexity(CLI::App& app, CommandContext& context) {
  auto options = std::make_shared<PerplexityOptions>();
  CLI::App* command =
      AddCommand(app, context, "perplexity",
                 "Measure how well a model predicts a text, as llama.cpp's tool does", options,
                 &RunPerplexity);
  command->add_option("model", options->model, "A resident model")->required();
  command->add_option("file", options->path, "The text; - reads standard input")->required();
  command
      ->add_option("--context", options->context_length,
                   "Tokens of a window (512, or the model's context if that is shorter)")
      ->check(CLI::Range(4u, 1u << 20));
  command->add_option("--windows", options->max_windows, "Stop after this many windows (0: all)");
  command->add_flag("--json", options->json, "Print one JSON object, as -o json does");
}

}  // namespace forge::client
