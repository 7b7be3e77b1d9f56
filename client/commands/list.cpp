#include <algorithm>
#include <iostream>

#include "client/commands/command.h"
#include "client/commands/model_pages.h"
#include "client/terminal/json_output.h"
#include "client/terminal/quote.h"
#include "client/terminal/text_table.h"
#include "client/terminal/units.h"

namespace forge::client {

namespace {

struct ListOptions {};

// Says which files are not in the list, the first of them by name.
void ReportLeftOut(const v1::ListModelsResponse& all) {
  constexpr int kMostNamed = 10;
  if (all.left_out_count() == 0) return;
  std::cout.flush();
  std::cerr << "left out of the list:\n";
  const int n_named = std::min(kMostNamed, all.left_out_files_size());
  for (int i = 0; i < n_named; ++i)
    std::cerr << "  " << Quote(all.left_out_files(i).path()) << ": "
              << all.left_out_files(i).reason() << '\n';
  const auto n_more = static_cast<int64_t>(all.left_out_count()) - n_named;
  if (n_more > 0) std::cerr << "  and " << n_more << " more\n";
}

ExitCode RunList(const ListOptions&, const CommandContext& context) {
  v1::ListModelsResponse all;
  const grpc::Status status = FetchModels(context.Connect(), /*resident_only=*/false, all);
  if (!status.ok()) return ReportFailure(status, context);
  if (context.json()) {
    for (const v1::Model& model : all.models()) std::cout << ToJson(model) << '\n';
    ReportLeftOut(all);
    return ExitCode::kOk;
  }
  TextTable table({"NAME", "SIZE", "STATE", "MODIFIED"});
  for (const v1::Model& model : all.models())
    table.AddRow({model.name(), FormatBytes(model.file_bytes()), StateName(model.state()),
                  FormatTime(model.modify_time())});
  table.Print(std::cout);
  if (all.models().empty())
    std::cerr << "no model files in the daemon's directories; 'forgectl status' names them\n";
  ReportLeftOut(all);
  return ExitCode::kOk;
}

}  // namespace

void AddList(CLI::App& app, CommandContext& context) {
  AddCommand(app, context, "list", "List the model files and their state",
             std::make_shared<ListOptions>(), &RunList);
}

}  // namespace forge::client
