#include <algorithm>
#include <cstdio>
#include <iostream>
#include <sstream>

#include "client/commands/command.h"
#include "client/terminal/interrupt.h"
#include "client/terminal/json_output.h"
#include "client/text_input.h"

namespace forge::client {

namespace {

// What one request takes, well below the 4 MiB that the daemon accepts.
constexpr size_t kMaxRequestBytes = 1 << 20;

struct EmbedOptions {
  std::string model;
  std::vector<std::string> texts;
  std::string pooling;
  bool no_normalize = false;
  bool skip_special = false;
};

std::vector<std::string> ReadTexts(const EmbedOptions& options) {
  if (!options.texts.empty() && options.texts != std::vector<std::string>{"-"})
    return options.texts;
  std::istringstream input(ReadStandardInput());
  std::vector<std::string> lines;
  for (std::string line; std::getline(input, line);) {
    lines.push_back(line);
    if (line.empty())  // left out, the vectors would be those of other lines
      throw CLI::ValidationError("standard input", "line " + std::to_string(lines.size()) +
                                                       " is empty; each line is a text to embed");
  }
  return lines;
}

v1::Pooling PoolingOf(const std::string& name) {
  if (name == "mean") return v1::POOLING_MEAN;
  if (name == "cls") return v1::POOLING_CLS;
  return name == "last" ? v1::POOLING_LAST : v1::POOLING_UNSPECIFIED;
}

void Print(const v1::EmbedResponse& embedding, bool json) {
  if (json) {
    std::cout << ToJson(embedding) << '\n';
    return;
  }
  std::string line;
  for (const float value : embedding.values()) {
    char text[32];
    std::snprintf(text, sizeof(text), "%s%.7g", line.empty() ? "" : " ",
                  static_cast<double>(value));
    line += text;
  }
  std::cout << line << '\n';
}

// Embeds the texts from `begin` on that fit one request; `begin` becomes the first that is left.
grpc::Status EmbedSome(const EmbedOptions& options, const CommandContext& context,
                       const Connection& connection, const std::vector<std::string>& texts,
                       size_t& begin, grpc::ClientContext& call) {
  v1::EmbedRequest request;
  request.set_model(options.model);
  request.set_pooling(PoolingOf(options.pooling));
  request.set_normalize(!options.no_normalize);
  size_t n_bytes = 0;
  size_t end = begin;
  while (end < texts.size() && (end == begin || n_bytes + texts[end].size() < kMaxRequestBytes)) {
    v1::TextPrompt& text = *request.add_inputs()->mutable_text();
    text.set_text(texts[end]);
    text.set_skip_special(options.skip_special);
    n_bytes += texts[end++].size() + sizeof(v1::TextPrompt);
  }
  const auto stream = connection.stub().Embed(&call, request);
  v1::EmbedResponse response;
  while (stream->Read(&response)) {
    response.set_index(response.index() + static_cast<uint32_t>(begin));
    Print(response, context.json());
  }
  begin = end;
  return stream->Finish();
}

ExitCode RunEmbed(const EmbedOptions& options, const CommandContext& context) {
  const std::vector<std::string> texts = ReadTexts(options);
  if (texts.empty()) {
    std::cerr << "forgectl: no text: give some as arguments, or one per line on standard input\n";
    return ExitCode::kUsage;
  }
  const Connection connection = context.Connect();
  for (size_t begin = 0; begin < texts.size();) {
    grpc::ClientContext call;
    const grpc::Status status = EmbedSome(options, context, connection, texts, begin, call);
    if (!status.ok()) return ReportFailure(status, context);
  }
  return ExitCode::kOk;
}

}  // namespace

void AddEmbed(CLI::App& app, CommandContext& context) {
  auto options = std::make_shared<EmbedOptions>();
  CLI::App* command =
      AddCommand(app, context, "embed", "Turn texts into vectors, one line of numbers for each",
                 options, &RunEmbed);
  command->add_option("model", options->model, "A resident model")->required();
  command->add_option("texts", options->texts, "The texts; - or none: lines of standard input");
  command
      ->add_option("--pooling", options->pooling,
                   "How tokens become one vector (what the file says, else mean)")
      ->check(CLI::IsMember({"mean", "cls", "last"}));
  command->add_flag("--no-normalize", options->no_normalize, "Leave vectors at their own length");
  command->add_flag("--skip-special", options->skip_special,
                    "Do not put the model's beginning-of-text token first");
}

}  // namespace forge::client
