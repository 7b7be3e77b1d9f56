#include <iostream>

#include "client/commands/command.h"
#include "client/terminal/json_output.h"
#include "client/terminal/units.h"

namespace forge::client {

namespace {

struct UnloadOptions {
  std::string model;
};

ExitCode RunUnload(const UnloadOptions& options, const CommandContext& context) {
  const Connection connection = context.Connect();
  grpc::ClientContext call;
  v1::UnloadModelRequest request;
  request.set_model(options.model);
  v1::UnloadModelResponse response;
  const grpc::Status status = connection.stub().UnloadModel(&call, request, &response);
  if (!status.ok()) return ReportFailure(status, context);
  if (context.json()) {
    std::cout << ToJson(response) << '\n';
  } else {
    std::cout << "unloaded " << options.model << ": " << FormatBytes(response.freed_bytes())
              << " are free again\n";
  }
  return ExitCode::kOk;
}

}  // namespace

void AddUnload(CLI::App& app, CommandContext& context) {
  auto options = std::make_shared<UnloadOptions>();
  CLI::App* command =
      AddCommand(app, context, "unload", "Free a model's memory", options, &RunUnload);
  command->alias("stop");
  command->add_option("model", options->model, "Name as in 'forgectl ps'")->required();
}

}  // namespace forge::client
