#include <iostream>

#include "client/commands/command.h"
#include "client/terminal/json_output.h"

namespace forge::client {

namespace {

struct YieldOptions {};

ExitCode RunYield(const YieldOptions& /*options*/, const CommandContext& context) {
  const Connection connection = context.Connect();
  grpc::ClientContext call;
  v1::YieldResponse response;
  const grpc::Status status = connection.stub().Yield(&call, v1::YieldRequest(), &response);
  if (!status.ok()) return ReportFailure(status, context);
  if (context.json()) {
    std::cout << ToJson(response) << '\n';
    return ExitCode::kOk;
  }
  if (response.models().empty()) std::cout << "no model is idle and unpinned\n";
  for (const std::string& model : response.models()) std::cout << "unloading " << model << '\n';
  return ExitCode::kOk;
}

}  // namespace

void AddYield(CLI::App& app, CommandContext& context) {
  AddCommand(app, context, "yield", "Unload every model that is idle and not pinned",
             std::make_shared<YieldOptions>(), &RunYield);
}

}  // namespace forge::client
