#include <iostream>

#include "client/commands/command.h"

namespace forge::client {

namespace {

constexpr void (*kCommands[])(CLI::App&, CommandContext&) = {
    AddLoad,   AddChat,    AddGenerate, AddUnload,     AddList,     AddPs,         AddShow,
    AddMemory, AddEmbed,   AddScore,    AddPerplexity, AddTokenize, AddDetokenize, AddStatus,
    AddDoctor, AddVersion, AddPlan,     AddPin,        AddYield,    AddEvents,     AddPolicy,
};

}  // namespace

void AddCommands(CLI::App& app, CommandContext& context) {
  for (const auto add : kCommands) add(app, context);
}

ExitCode ReportFailure(const grpc::Status& status, const CommandContext& context) {
  const Failure failure = ExplainFailure(status, context.address);
  std::cout.flush();
  std::cerr << "forgectl: " << failure.message << '\n';
  return failure.exit_code;
}

}  // namespace forge::client
