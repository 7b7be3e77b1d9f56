#include <iostream>

#include "client/commands/command.h"
#include "client/terminal/json_output.h"
#include "client/terminal/text_table.h"
#include "client/terminal/units.h"

namespace forge::client {

namespace {

struct StatusOptions {};

template <typename Strings>
std::string Join(const Strings& strings) {
  std::string joined;
  for (const std::string& text : strings) joined += (joined.empty() ? "" : ", ") + text;
  return joined;
}

ExitCode RunStatus(const StatusOptions&, const CommandContext& context) {
  const Connection connection = context.Connect();
  grpc::ClientContext call;
  v1::GetServerInfoResponse info;
  const grpc::Status status = connection.stub().GetServerInfo(&call, {}, &info);
  if (!status.ok()) return ReportFailure(status, context);
  if (context.json()) {
    std::cout << ToJson(info) << '\n';
    return ExitCode::kOk;
  }
  TextTable table({"Daemon", "forged " + info.version() + ", process " +
                                 std::to_string(info.process_id()) +
                                 (info.draining() ? ", shutting down" : "")});
  table.AddRow({"Address", connection.address()});
  table.AddRow({"Started", FormatTime(info.start_time())});
  table.AddRow({"Devices", Join(info.devices())});
  table.AddRow({"Model directories", Join(info.model_directories())});
  table.AddRow({"Resident models", std::to_string(info.resident_model_count())});
  table.AddRow({"Turns", std::to_string(info.running_turn_count()) + " running, " +
                             std::to_string(info.queued_turn_count()) + " queued"});
  table.Print(std::cout);
  return ExitCode::kOk;
}

}  // namespace

void AddStatus(CLI::App& app, CommandContext& context) {
  AddCommand(app, context, "status", "Say what the daemon is and how it does",
             std::make_shared<StatusOptions>(), &RunStatus);
}

}  // namespace forge::client
