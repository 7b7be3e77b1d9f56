#include <iostream>

#include "client/commands/command.h"
#include "client/commands/load_flags.h"
#include "client/terminal/json_output.h"
#include "client/terminal/units.h"

namespace forge::client {

namespace {

struct PlanOptions {
  std::string model;
  LoadFlags load;
  int priority = 0;
};

using Response = v1::PlanModelResponse;

std::string Names(const Response& plan) {
  std::string names;
  for (const std::string& model : plan.models()) names += (names.empty() ? "" : ", ") + model;
  return names;
}

std::string Verdict(const Response& plan) {
  switch (plan.decision()) {
    case Response::DECISION_RESIDENT:
      return "is resident already";
    case Response::DECISION_FITS:
      return "fits";
    case Response::DECISION_EVICT:
      return "fits once " + Names(plan) + " is evicted";
    case Response::DECISION_WAIT:
      return "would wait for " + Names(plan);
    default:
      return plan.models().empty() ? "does not fit" : "does not fit beside " + Names(plan);
  }
}

void Print(const PlanOptions& options, const Response& plan) {
  const v1::MemoryPlan& bytes = plan.details().plan();
  const auto context = [](uint32_t tokens) {
    return tokens == 0 ? std::string("none") : std::to_string(tokens) + " tokens";
  };
  std::cout << options.model << ' ' << Verdict(plan) << '\n'
            << "  needs         " << FormatBytes(bytes.total_bytes()) << " (weights "
            << FormatBytes(bytes.weights_bytes()) << ", KV cache "
            << FormatBytes(bytes.kv_cache_bytes()) << ", scratch "
            << FormatBytes(bytes.scratch_bytes()) << ") for "
            << plan.details().options().max_sequences() << " x "
            << plan.details().options().context_length() << " tokens on "
            << plan.details().options().device() << '\n'
            << "  available     " << FormatBytes(plan.available_bytes())
            << " now (bound: " << plan.binding_bound() << "), "
            << FormatBytes(plan.available_with_eviction_bytes()) << " with eviction, "
            << FormatBytes(plan.available_alone_bytes()) << " alone\n"
            << "  longest       " << context(plan.longest_context()) << " now, "
            << context(plan.longest_context_with_eviction()) << " with eviction\n"
            << "  because       " << plan.reason() << '\n';
}

ExitCode RunPlan(const PlanOptions& options, const CommandContext& context) {
  const Connection connection = context.Connect();
  grpc::ClientContext call;
  v1::PlanModelRequest request;
  request.set_model(options.model);
  *request.mutable_options() = ToLoadOptions(options.load);
  request.set_priority(options.priority);
  Response response;
  const grpc::Status status = connection.stub().PlanModel(&call, request, &response);
  if (!status.ok()) return ReportFailure(status, context);
  if (context.json()) {
    std::cout << ToJson(response) << '\n';
  } else {
    Print(options, response);
  }
  return response.decision() == Response::DECISION_REFUSE ? ExitCode::kOutOfBudget : ExitCode::kOk;
}

}  // namespace

void AddPlan(CLI::App& app, CommandContext& context) {
  auto options = std::make_shared<PlanOptions>();
  CLI::App* command = AddCommand(
      app, context, "plan", "Say what loading a model would do, and do nothing", options, &RunPlan);
  command->add_option("model", options->model, "Name as in 'forgectl list', or a path")->required();
  AddLoadFlags(*command, options->load);
  command->add_option(
      "--priority", options->priority,
      "As if it were loaded with this priority: it evicts none of a higher one (0)");
}

}  // namespace forge::client
