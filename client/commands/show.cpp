#include <iostream>

#include "client/commands/command.h"
#include "client/commands/load_flags.h"
#include "client/commands/model_pages.h"
#include "client/terminal/json_output.h"
#include "client/terminal/text_table.h"
#include "client/terminal/units.h"

namespace forge::client {

namespace {

struct ShowOptions {
  std::string model;
  LoadFlags flags;
};

std::string FormatNames(const v1::ModelDetails& details) {
  int64_t total = 0;
  for (const v1::FormatShare& share : details.formats()) total += share.file_bytes();
  std::string names;
  for (const v1::FormatShare& share : details.formats()) {
    const int64_t percent = total > 0 ? (share.file_bytes() * 100 + total / 2) / total : 0;
    names += (names.empty() ? "" : ", ") + share.format() + " " + std::to_string(percent) + " %";
  }
  return names;
}

void PrintDetails(const v1::Model& model) {
  const v1::ModelDetails& details = model.details();
  const v1::MemoryPlan& plan = details.plan();
  TextTable table({"Name", model.name()});
  table.AddRow({"File", model.path() + ", " + FormatBytes(model.file_bytes())});
  table.AddRow(
      {"State", StateName(model.state()) + (model.error().empty() ? "" : ": " + model.error())});
  table.AddRow({"Title", details.title()});
  table.AddRow({"Architecture", details.architecture()});
  table.AddRow({"Parameters", FormatCount(details.parameter_count())});
  table.AddRow({"Layers", std::to_string(details.layer_count())});
  table.AddRow({"Embedding", std::to_string(details.embedding_length())});
  table.AddRow({"Heads", std::to_string(details.head_count()) + " of " +
                             std::to_string(details.head_length()) + ", KV heads " +
                             std::to_string(details.kv_head_count())});
  table.AddRow({"Formats", FormatNames(details)});
  table.AddRow(
      {"Vocabulary", std::to_string(details.vocabulary_size()) + " (" + details.tokenizer() + ")"});
  table.AddRow({"Chat template", !details.chat_template().empty() ? details.chat_template()
                                 : details.chat_template_error().empty()
                                     ? "none: text and token ids only"
                                     : "not usable: " + details.chat_template_error()});
  table.AddRow({"Context",
                std::to_string(details.options().context_length()) + " tokens in each of " +
                    std::to_string(details.options().max_sequences()) + " sequences (trained on " +
                    std::to_string(details.trained_context_length()) + ")"});
  table.AddRow({"Memory plan", FormatBytes(plan.total_bytes()) + ": weights " +
                                   FormatBytes(plan.weights_bytes()) + ", KV cache " +
                                   FormatBytes(plan.kv_cache_bytes()) + ", scratch " +
                                   FormatBytes(plan.scratch_bytes())});
  table.Print(std::cout);
}

ExitCode RunShow(const ShowOptions& options, const CommandContext& context) {
  const Connection connection = context.Connect();
  grpc::ClientContext call;
  v1::GetModelRequest request;
  request.set_model(options.model);
  *request.mutable_options() = ToLoadOptions(options.flags);
  v1::GetModelResponse response;
  const grpc::Status status = connection.stub().GetModel(&call, request, &response);
  if (!status.ok()) return ReportFailure(status, context);
  if (context.json()) {
    std::cout << ToJson(response.model()) << '\n';
  } else {
    PrintDetails(response.model());
  }
  return ExitCode::kOk;
}

}  // namespace

void AddShow(CLI::App& app, CommandContext& context) {
  auto options = std::make_shared<ShowOptions>();
  CLI::App* command = AddCommand(
      app, context, "show", "Describe a model file and what loading it takes", options, &RunShow);
  command->add_option("model", options->model, "Name as in 'forgectl list', or a path")->required();
  AddLoadFlags(*command, options->flags);
}

}  // namespace forge::client
