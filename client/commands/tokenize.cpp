#include <iostream>

#include "client/commands/command.h"
#include "client/terminal/json_output.h"
#include "client/terminal/quote.h"
#include "client/terminal/text_table.h"
#include "client/text_input.h"

namespace forge::client {

namespace {

struct TokenizeOptions {
  std::string model;
  std::string text;
  bool add_special = false;
  bool parse_special = false;
  bool ids_only = false;
};

void PrintIds(const v1::TokenizeResponse& response) {
  for (int i = 0; i < response.ids_size(); ++i) std::cout << (i > 0 ? "," : "") << response.ids(i);
  std::cout << '\n';
}

ExitCode RunTokenize(const TokenizeOptions& options, const CommandContext& context) {
  v1::TokenizeRequest request;
  request.set_model(options.model);
  request.set_text(options.text == "-" ? ReadStandardInput() : options.text);
  request.set_add_special(options.add_special);
  request.set_parse_special(options.parse_special);
  const Connection connection = context.Connect();
  grpc::ClientContext call;
  v1::TokenizeResponse response;
  const grpc::Status status = connection.stub().Tokenize(&call, request, &response);
  if (!status.ok()) return ReportFailure(status, context);
  if (context.json()) {
    std::cout << ToJson(response) << '\n';
  } else if (options.ids_only) {
    PrintIds(response);
  } else {
    TextTable table({"ID", "TEXT"});
    for (int i = 0; i < response.ids_size(); ++i)
      table.AddRow({std::to_string(response.ids(i)), Quote(response.texts(i))});
    table.Print(std::cout);
  }
  return ExitCode::kOk;
}

}  // namespace

void AddTokenize(CLI::App& app, CommandContext& context) {
  auto options = std::make_shared<TokenizeOptions>();
  CLI::App* command = AddCommand(app, context, "tokenize", "Show a text as a model's tokens",
                                 options, &RunTokenize);
  command->add_option("model", options->model, "A resident model")->required();
  command->add_option("text", options->text, "The text; - reads standard input")->required();
  command->add_flag("--add-special", options->add_special, "Put the beginning-of-text token first");
  command->add_flag("--parse-special", options->parse_special,
                    "Read \"<|im_end|>\" and the like as control tokens");
  command->add_flag("--ids", options->ids_only, "Print the ids only, separated by commas");
}

}  // namespace forge::client
