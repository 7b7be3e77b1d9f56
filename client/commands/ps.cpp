#include <ctime>
#include <iostream>

#include "client/commands/command.h"
#include "client/commands/model_pages.h"
#include "client/terminal/json_output.h"
#include "client/terminal/text_table.h"
#include "client/terminal/units.h"

namespace forge::client {

namespace {

struct PsOptions {};

ExitCode RunPs(const PsOptions&, const CommandContext& context) {
  v1::ListModelsResponse all;
  const grpc::Status status = FetchModels(context.Connect(), /*resident_only=*/true, all);
  if (!status.ok()) return ReportFailure(status, context);
  if (context.json()) {
    for (const v1::Model& model : all.models()) std::cout << ToJson(model) << '\n';
    return ExitCode::kOk;
  }
  TextTable table({"NAME", "STATE", "DEVICE", "MEMORY", "CONTEXT", "SLOTS", "QUEUED", "LOADED",
                   "PRIORITY", "UNTIL"});
  for (const v1::Model& model : all.models()) {
    const v1::Residency& residency = model.residency();
    if (!residency.has_load_time()) {  // it is being loaded
      table.AddRow(
          {model.name(), StateName(model.state()), "-", "-", "-", "-", "-", "-", "-", "-"});
      continue;
    }
    table.AddRow(
        {model.name(), StateName(model.state()), residency.device(),
         FormatBytes(residency.memory().total_bytes()),
         std::to_string(model.details().options().context_length()),
         std::to_string(residency.busy_slot_count()) + "/" + std::to_string(residency.slot_count()),
         std::to_string(residency.queued_turn_count()), FormatTime(residency.load_time()),
         std::to_string(residency.priority()), UntilText(residency, std::time(nullptr))});
  }
  table.Print(std::cout);
  if (all.models().empty())
    std::cerr << "no model is resident; load one with 'forgectl load NAME'\n";
  return ExitCode::kOk;
}

}  // namespace

void AddPs(CLI::App& app, CommandContext& context) {
  AddCommand(app, context, "ps", "Show the resident models and who uses them",
             std::make_shared<PsOptions>(), &RunPs);
}

}  // namespace forge::client
