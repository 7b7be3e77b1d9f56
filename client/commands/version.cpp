#include <chrono>
#include <iostream>

#include "client/commands/command.h"

namespace forge::client {

namespace {

struct VersionOptions {};

// Prints this program's version, and the daemon's where one answers at once.
ExitCode RunVersion(const VersionOptions&, const CommandContext& context) {
  const Connection connection = context.Connect();
  grpc::ClientContext call;
  call.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(1));
  v1::GetServerInfoResponse info;
  const grpc::Status status = connection.stub().GetServerInfo(&call, {}, &info);
  if (context.json()) {
    const std::string forged = status.ok() ? '"' + info.version() + '"' : "null";
    std::cout << R"({"forgectl":")" << FORGE_VERSION << R"(","forged":)" << forged << "}\n";
    return ExitCode::kOk;
  }
  std::cout << "forgectl " << FORGE_VERSION << '\n';
  if (status.ok()) std::cout << "forged " << info.version() << " at " << context.address << '\n';
  return ExitCode::kOk;
}

}  // namespace

void AddVersion(CLI::App& app, CommandContext& context) {
  AddCommand(app, context, "version", "Print the versions of forgectl and of the daemon",
             std::make_shared<VersionOptions>(), &RunVersion);
}

}  // namespace forge::client
