#include <iostream>

#include "client/commands/command.h"
#include "client/commands/model_pages.h"
#include "client/terminal/json_output.h"
#include "client/terminal/text_table.h"
#include "client/terminal/units.h"

namespace forge::client {

namespace {

struct ListOptions {};

ExitCode RunList(const ListOptions&, const CommandContext& context) {
  std::vector<v1::Model> models;
  const grpc::Status status = FetchModels(context.Connect(), /*resident_only=*/false, models);
  if (!status.ok()) return ReportFailure(status, context);
  if (context.json()) {
    for (const v1::Model& model : models) std::cout << ToJson(model) << '\n';
    return ExitCode::kOk;
  }
  TextTable table({"NAME", "SIZE", "STATE", "MODIFIED"});
  for (const v1::Model& model : models)
    table.AddRow({model.name(), FormatBytes(model.file_bytes()), StateName(model.state()),
                  FormatTime(model.modify_time())});
  table.Print(std::cout);
  if (models.empty())
    std::cerr << "no model files in the daemon's directories; 'forgectl status' names them\n";
  return ExitCode::kOk;
}

}  // namespace

void AddList(CLI::App& app, CommandContext& context) {
  AddCommand(app, context, "list", "List the model files and their state",
             std::make_shared<ListOptions>(), &RunList);
}

}  // namespace forge::client
