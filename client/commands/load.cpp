#include <atomic>
#include <ctime>
#include <iostream>
#include <memory>
#include <optional>
#include <string>

#include "client/commands/command.h"
#include "client/commands/load_flags.h"
#include "client/commands/load_progress.h"
#include "client/commands/model_pages.h"
#include "client/terminal/interrupt.h"
#include "client/terminal/json_output.h"
#include "client/terminal/progress_bar.h"
#include "client/terminal/units.h"

namespace forge::client {

namespace {

struct LoadCommandOptions {
  std::string model;
  LoadFlags flags;
  bool pin = false;
  std::optional<int> priority;
  std::string keep_alive;

  bool says_how_it_is_kept() const { return pin || priority || !keep_alive.empty(); }
};

// `forever` is the longest that the daemon takes.
std::optional<int64_t> ParseKeepAlive(const std::string& text) {
  return ParseDuration(text == "forever" ? "8760h" : text);
}

// Adds what the flags say of how the model is kept.
void SetResidency(const LoadCommandOptions& options, v1::ResidencyOptions& residency) {
  if (options.pin) residency.set_pin(true);
  if (options.priority) residency.set_priority(*options.priority);
  if (options.keep_alive.empty()) return;
  const auto milliseconds = ParseKeepAlive(options.keep_alive);
  residency.mutable_keep_alive()->set_seconds(*milliseconds / 1000);
  residency.mutable_keep_alive()->set_nanos(static_cast<int>(*milliseconds % 1000) * 1'000'000);
}

void PrintReady(const LoadCommandOptions& options, const v1::Model& model, bool was_resident) {
  const v1::Residency& residency = model.residency();
  const v1::MemoryPlan& memory = residency.memory();
  if (was_resident)
    std::cout << model.name() << " is resident already on " << residency.device() << ": ";
  else
    std::cout << "loaded " << model.name() << " on " << residency.device() << " in "
              << FormatDuration(residency.load_duration()) << ": ";
  std::cout << FormatBytes(memory.total_bytes()) << " (weights "
            << FormatBytes(memory.weights_bytes()) << ", KV cache "
            << FormatBytes(memory.kv_cache_bytes()) << ", scratch "
            << FormatBytes(memory.scratch_bytes()) << ")\n";
  if (was_resident && options.says_how_it_is_kept())
    std::cout << "it has priority " << residency.priority()
              << " now, and stays: " << UntilText(residency, std::time(nullptr)) << '\n';
}

ExitCode RunLoad(const LoadCommandOptions& options, const CommandContext& context) {
  BlockInterrupts();
  const Connection connection = context.Connect();
  grpc::ClientContext call;
  std::unique_ptr<grpc::ClientReaderWriter<v1::LoadModelRequest, v1::LoadModelResponse>> stream;
  std::atomic<bool> is_asked = false;
  // The load is the daemon's and would go on without us: Ctrl-C asks it to stop.
  InterruptScope interrupts([&](int count) {
    if (count > 1 || !is_asked) return call.TryCancel();
    v1::LoadModelRequest cancel;
    cancel.mutable_cancel();
    stream->Write(cancel);
  });
  stream = connection.stub().LoadModel(&call);
  v1::LoadModelRequest request;
  request.mutable_start()->set_model(options.model);
  *request.mutable_start()->mutable_options() = ToLoadOptions(options.flags);
  SetResidency(options, *request.mutable_start()->mutable_residency());
  stream->Write(request);
  is_asked = true;
  ProgressBar bar;
  v1::LoadModelResponse response;
  bool was_resident = true;  // until something of a load is heard
  while (stream->Read(&response)) {
    if (context.json()) std::cout << ToJson(response) << std::endl;
    if (response.has_progress()) ShowLoadProgress(response.progress(), bar);
    was_resident = was_resident && !response.has_progress();
    if (!response.has_ready()) continue;
    bar.Clear();
    if (!context.json()) PrintReady(options, response.ready(), was_resident);
  }
  bar.Clear();
  const grpc::Status status = stream->Finish();
  if (status.ok()) return ExitCode::kOk;
  const ExitCode code = ReportFailure(status, context);
  return interrupts.interrupted() ? ExitCode::kInterrupted : code;
}

}  // namespace

void AddLoad(CLI::App& app, CommandContext& context) {
  auto options = std::make_shared<LoadCommandOptions>();
  CLI::App* command =
      AddCommand(app, context, "load", "Load a model and keep it resident", options, &RunLoad);
  command->add_option("model", options->model, "Name as in 'forgectl list', or a path")->required();
  AddLoadFlags(*command, options->flags);
  command->add_flag("--pin", options->pin, "Never evict it, and keep it when it is idle");
  command->add_option("--priority", options->priority,
                      "Loads of a lower priority never evict it (0)");
  command
      ->add_option("--keep-alive", options->keep_alive,
                   "How long it stays after its last use, as in 0s, 500ms, 5m, 1h or forever")
      ->check([](const std::string& text) {
        return ParseKeepAlive(text) ? std::string()
                                    : "'" + text + "' is neither a duration as in 5m nor forever";
      });
}

}  // namespace forge::client
