#include <iostream>
#include <vector>

#include "client/commands/command.h"
#include "client/commands/value_checks.h"
#include "client/terminal/json_output.h"

namespace forge::client {

namespace {

struct DetokenizeOptions {
  std::string model;
  std::vector<int32_t> ids;
  bool render_special = false;
};

ExitCode RunDetokenize(const DetokenizeOptions& options, const CommandContext& context) {
  v1::DetokenizeRequest request;
  request.set_model(options.model);
  request.mutable_ids()->Add(options.ids.begin(), options.ids.end());
  request.set_render_special(options.render_special);
  const Connection connection = context.Connect();
  grpc::ClientContext call;
  v1::DetokenizeResponse response;
  const grpc::Status status = connection.stub().Detokenize(&call, request, &response);
  if (!status.ok()) return ReportFailure(status, context);
  std::cout << (context.json() ? ToJson(response) : response.text()) << '\n';
  return ExitCode::kOk;
}

}  // namespace

void AddDetokenize(CLI::App& app, CommandContext& context) {
  auto options = std::make_shared<DetokenizeOptions>();
  CLI::App* command = AddCommand(app, context, "detokenize", "Show a model's tokens as text",
                                 options, &RunDetokenize);
  command->add_option("model", options->model, "A resident model")->required();
  command->add_option("ids", options->ids, "Token ids, separated by commas")
      ->required()
      ->delimiter(',')
      ->check(IsNotEmpty);
  command->add_flag("--render-special", options->render_special, "Show control tokens as text");
}

}  // namespace forge::client
