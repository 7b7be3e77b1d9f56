#include <unistd.h>

#include <cstdlib>
#include <iostream>

#include "client/commands/command.h"
#include "client/commands/memory_bar.h"
#include "client/terminal/interrupt.h"
#include "client/terminal/json_output.h"
#include "client/terminal/text_table.h"
#include "client/terminal/units.h"

namespace forge::client {

namespace {

struct MemoryOptions {
  bool watch = false;
  std::string interval = "1s";
};

std::string PolicySentence(const v1::DeviceMemory& device) {
  const int percent = static_cast<int>(device.free_fraction() * 100.0 + 0.5);
  std::string text = device.policy() + ", " + std::to_string(percent) + " % of free";
  if (device.reserve_bytes() > 0) text += ", " + FormatBytes(device.reserve_bytes()) + " reserved";
  if (device.has_cap_bytes()) text += ", at most " + FormatBytes(device.cap_bytes());
  return text;
}

void PrintDevice(const v1::DeviceMemory& device) {
  constexpr int kBarWidth = 60;
  std::cout << device.device() << ": " << device.description() << '\n'
            << RenderMemoryBar(device, kBarWidth) << '\n'
            << FormatBytes(device.reserved_bytes()) << " held by models, "
            << FormatBytes(device.others_bytes()) << " by others, "
            << FormatBytes(device.free_bytes()) << " free of " << FormatBytes(device.total_bytes())
            << '\n'
            << "policy " << PolicySentence(device) << "; room for "
            << FormatBytes(device.available_bytes()) << " more (bound: " << device.binding_bound()
            << ")\n";
  TextTable table({"MODEL", "WEIGHTS", "KV CACHE", "SCRATCH", "TOTAL"});
  for (const v1::ModelMemory& model : device.models()) {
    const v1::MemoryPlan& memory = model.memory();
    table.AddRow({model.model(), FormatBytes(memory.weights_bytes()),
                  FormatBytes(memory.kv_cache_bytes()), FormatBytes(memory.scratch_bytes()),
                  FormatBytes(memory.total_bytes())});
  }
  if (device.models_size() > 0) table.Print(std::cout);
  std::cout << "ledger " << device.reserved_bytes() << " B promised, device "
            << device.allocated_bytes() << " B in " << device.allocation_count() << " allocations";
  if (device.has_drift_bytes())
    std::cout << ", drift " << (device.drift_bytes() < 0 ? "-" : "+")
              << FormatBytes(std::abs(device.drift_bytes()));
  std::cout << '\n';
}

// Until the server ends or Ctrl-C does. On a terminal each reading takes the place of the last.
ExitCode WatchMemory(const MemoryOptions& options, const CommandContext& context) {
  const bool is_terminal = ::isatty(STDOUT_FILENO) == 1;
  v1::WatchMemoryRequest request;
  const int64_t milliseconds = ParseDuration(options.interval).value_or(0);
  request.mutable_interval()->set_seconds(milliseconds / 1000);
  request.mutable_interval()->set_nanos(static_cast<int>(milliseconds % 1000) * 1'000'000);
  BlockInterrupts();
  const Connection connection = context.Connect();
  grpc::ClientContext call;
  const auto stream = connection.stub().WatchMemory(&call, request);
  InterruptScope interrupts([&](int) { call.TryCancel(); });
  v1::WatchMemoryResponse response;
  while (stream->Read(&response)) {
    if (context.json()) {
      std::cout << ToJson(response) << std::endl;
      continue;
    }
    if (is_terminal) std::cout << "\x1b[H\x1b[J";  // to the top, and clear what is below
    std::cout << MemoryBarLegend() << '\n';
    for (const v1::DeviceMemory& device : response.devices()) PrintDevice(device);
    std::cout << std::endl;
  }
  const grpc::Status status = stream->Finish();
  if (interrupts.interrupted()) return ExitCode::kInterrupted;
  return status.ok() ? ExitCode::kOk : ReportFailure(status, context);
}

ExitCode RunMemory(const MemoryOptions& options, const CommandContext& context) {
  if (options.watch) return WatchMemory(options, context);
  const Connection connection = context.Connect();
  grpc::ClientContext call;
  v1::GetMemoryResponse response;
  const grpc::Status status = connection.stub().GetMemory(&call, {}, &response);
  if (!status.ok()) return ReportFailure(status, context);
  if (context.json()) {
    std::cout << ToJson(response) << '\n';
    return ExitCode::kOk;
  }
  std::cout << MemoryBarLegend() << '\n';
  for (const v1::DeviceMemory& device : response.devices()) PrintDevice(device);
  return ExitCode::kOk;
}

}  // namespace

void AddMemory(CLI::App& app, CommandContext& context) {
  auto options = std::make_shared<MemoryOptions>();
  CLI::App* command =
      AddCommand(app, context, "memory",
                 "Show what memory models hold and may still take, by device", options, &RunMemory);
  command->add_flag("--watch", options->watch, "Show it again and again, until Ctrl-C");
  command
      ->add_option("--interval", options->interval, "Time between two readings, from 250ms to 1h")
      ->check([](const std::string& text) {
        return ParseDuration(text) ? std::string() : "'" + text + "' is no duration as in 500ms";
      });
}

}  // namespace forge::client
