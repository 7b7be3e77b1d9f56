#include <iostream>

#include "client/commands/command.h"
#include "client/terminal/json_output.h"

namespace forge::client {

namespace {

struct PinOptions {
  std::string model;
  bool off = false;
};

ExitCode RunPin(const PinOptions& options, const CommandContext& context) {
  const Connection connection = context.Connect();
  grpc::ClientContext call;
  v1::PinModelRequest request;
  request.set_model(options.model);
  request.set_pinned(!options.off);
  v1::PinModelResponse response;
  const grpc::Status status = connection.stub().PinModel(&call, request, &response);
  if (!status.ok()) return ReportFailure(status, context);
  if (context.json()) {
    std::cout << ToJson(response) << '\n';
  } else {
    std::cout << options.model
              << (options.off ? " may be evicted again\n"
                              : " stays until it is unpinned or unloaded\n");
  }
  return ExitCode::kOk;
}

}  // namespace

void AddPin(CLI::App& app, CommandContext& context) {
  auto options = std::make_shared<PinOptions>();
  CLI::App* command =
      AddCommand(app, context, "pin", "Keep a resident model from being evicted", options, &RunPin);
  command->add_option("model", options->model, "Name as in 'forgectl ps'")->required();
  command->add_flag("--off", options->off, "Let it be evicted again");
}

}  // namespace forge::client
