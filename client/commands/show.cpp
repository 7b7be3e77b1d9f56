#include <iostream>

#include "client/commands/command.h"
#include "client/commands/load_flags.h"
#include "client/commands/model_pages.h"
#include "client/terminal/json_output.h"
#include "client/terminal/quote.h"
#include "client/terminal/text_table.h"
#include "client/terminal/units.h"

namespace forge::client {

namespace {

struct ShowOptions {
  std::string model;
  bool only_template = false;
  bool json = false;
  LoadFlags flags;
};

std::string FormatNames(const v1::ModelDetails& details) {
  int64_t total = 0;
  for (const v1::FormatShare& share : details.formats()) total += share.file_bytes();
  std::string names;
  for (const v1::FormatShare& share : details.formats()) {
    const double percent =
        total > 0 ? 100.0 * static_cast<double>(share.file_bytes()) / static_cast<double>(total)
                  : 0;
    names += (names.empty() ? "" : ", ") + share.format() + " " + FormatFixed(percent, 1) + " %";
  }
  return names;
}

std::string TemplateName(const v1::ModelDetails& details) {
  if (!details.chat_template_error().empty()) return "not usable: " + details.chat_template_error();
  if (details.chat_template().empty()) return "none: text and token ids only";
  return details.chat_template() +
         (details.is_chat_template_fallback() ? ", chosen for the family" : "") +
         (details.chat_template_takes_tools() ? ", takes tools" : ", takes no tools");
}

std::string PoolingName(v1::Pooling pooling) {
  if (pooling == v1::POOLING_CLS) return "cls";
  return pooling == v1::POOLING_LAST ? "last" : "mean";
}

std::string PlanText(const v1::MemoryPlan& plan) {
  return FormatBytes(plan.total_bytes()) + ": weights " + FormatBytes(plan.weights_bytes()) +
         ", KV cache " + FormatBytes(plan.kv_cache_bytes()) + ", scratch " +
         FormatBytes(plan.scratch_bytes());
}

void PrintDetails(const v1::Model& model) {
  const v1::ModelDetails& details = model.details();
  TextTable table({"Name", model.name()});
  table.AddRow({"File", model.path() + ", " + FormatBytes(model.file_bytes())});
  table.AddRow(
      {"State", StateName(model.state()) + (model.error().empty() ? "" : ": " + model.error())});
  table.AddRow({"Title", details.title()});
  table.AddRow({"Architecture", details.architecture()});
  table.AddRow({"Parameters", FormatCount(details.parameter_count())});
  table.AddRow({"Layers", std::to_string(details.layer_count())});
  table.AddRow({"Embedding", std::to_string(details.embedding_length())});
  table.AddRow({"Attention", std::to_string(details.head_count()) + " heads (" +
                                 std::to_string(details.kv_head_count()) +
                                 " for keys and values), each " +
                                 std::to_string(details.head_length()) + " wide"});
  table.AddRow({"Formats", FormatNames(details)});
  table.AddRow(
      {"Vocabulary", std::to_string(details.vocabulary_size()) + " (" + details.tokenizer() + ")"});
  for (const v1::SpecialToken& token : details.special_tokens())
    table.AddRow({"Token " + token.role(), std::to_string(token.id()) + " " + Quote(token.text()) +
                                               (token.is_added() ? ", added to texts" : "")});
  if (details.is_encoder())
    table.AddRow({"Kind", "encoder: embeds texts, writes none"});
  else
    table.AddRow({"Chat template", TemplateName(details)});
  table.AddRow({"Pooling", PoolingName(details.pooling())});
  table.AddRow({"Context",
                std::to_string(details.options().context_length()) + " tokens in each of " +
                    std::to_string(details.options().max_sequences()) + " sequences (trained on " +
                    std::to_string(details.trained_context_length()) + ")"});
  table.AddRow({"Memory plan", PlanText(details.plan())});
  table.Print(std::cout);
}

// Of a file that cannot be loaded nothing else is known.
void PrintFailed(const v1::Model& model) {
  TextTable table({"Name", model.name()});
  table.AddRow({"File", model.path() + ", " + FormatBytes(model.file_bytes())});
  table.AddRow({"State", StateName(model.state()) + ": " + model.error()});
  table.Print(std::cout);
}

void PrintContexts(const v1::ModelDetails& details) {
  if (details.context_plans().empty()) return;
  std::cout << '\n';
  TextTable table({"CONTEXT", "TOTAL", "WEIGHTS", "KV CACHE", "SCRATCH", "FITS NOW"});
  for (const v1::ContextPlan& context : details.context_plans()) {
    const v1::MemoryPlan& plan = context.plan();
    table.AddRow({std::to_string(context.context_length()), FormatBytes(plan.total_bytes()),
                  FormatBytes(plan.weights_bytes()), FormatBytes(plan.kv_cache_bytes()),
                  FormatBytes(plan.scratch_bytes()), context.fits() ? "yes" : "no"});
  }
  table.Print(std::cout);
  std::cout << (details.largest_context_length() > 0
                    ? "Largest context that would be admitted now: " +
                          std::to_string(details.largest_context_length()) + " tokens"
                    : std::string("No context would be admitted now"))
            << ", for " << details.options().max_sequences()
            << " sequences beside what is loaded\n";
}

ExitCode PrintTemplate(const v1::ModelDetails& details) {
  const std::string& source = details.chat_template_source();
  if (source.empty()) {
    std::cerr << "forgectl: the file has no chat template\n";
    return ExitCode::kFailed;
  }
  std::cout << source << (source.ends_with('\n') ? "" : "\n");
  return ExitCode::kOk;
}

ExitCode RunShow(const ShowOptions& options, const CommandContext& context) {
  const Connection connection = context.Connect();
  grpc::ClientContext call;
  v1::GetModelRequest request;
  request.set_model(options.model);
  *request.mutable_options() = ToLoadOptions(options.flags);
  request.set_full(true);
  v1::GetModelResponse response;
  const grpc::Status status = connection.stub().GetModel(&call, request, &response);
  if (!status.ok()) return ReportFailure(status, context);
  const v1::Model& model = response.model();
  if (context.json() || options.json) {
    std::cout << ToJson(model) << '\n';
  } else if (!model.has_details()) {
    PrintFailed(model);
    return ExitCode::kFailed;
  } else if (options.only_template) {
    return PrintTemplate(model.details());
  } else {
    PrintDetails(model);
    PrintContexts(model.details());
  }
  return ExitCode::kOk;
}

}  // namespace

void AddShow(CLI::App& app, CommandContext& context) {
  auto options = std::make_shared<ShowOptions>();
  CLI::App* command = AddCommand(
      app, context, "show", "Describe a model file and what loading it takes", options, &RunShow);
  command->add_option("model", options->model, "Name as in 'forgectl list', or a path")->required();
  command->add_flag("--template", options->only_template,
                    "Print the text of the file's chat template and nothing else");
  command->add_flag("--json", options->json, "Print JSON, as -o json does");
  AddLoadFlags(*command, options->flags);
}

}  // namespace forge::client
