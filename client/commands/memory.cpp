#include <iostream>

#include "client/commands/command.h"
#include "client/terminal/json_output.h"
#include "client/terminal/progress_bar.h"
#include "client/terminal/text_table.h"
#include "client/terminal/units.h"

namespace forge::client {

namespace {

struct MemoryOptions {};

std::string PolicySentence(const v1::DeviceMemory& device) {
  const int percent = static_cast<int>(device.free_fraction() * 100.0 + 0.5);
  std::string text = device.policy() + ", " + std::to_string(percent) + " % of free";
  if (device.reserve_bytes() > 0) text += ", " + FormatBytes(device.reserve_bytes()) + " reserved";
  if (device.has_cap_bytes()) text += ", at most " + FormatBytes(device.cap_bytes());
  return text;
}

void PrintDevice(const v1::DeviceMemory& device) {
  constexpr int kBarWidth = 40;
  const double total = static_cast<double>(device.total_bytes());
  const double used = total > 0 ? static_cast<double>(device.reserved_bytes()) / total : 0.0;
  std::cout << device.device() << ": " << device.description() << '\n'
            << RenderBar(used, kBarWidth) << ' ' << FormatBytes(device.reserved_bytes())
            << " held by models, " << FormatBytes(device.free_bytes()) << " free of "
            << FormatBytes(device.total_bytes()) << '\n'
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
            << device.allocated_bytes() << " B in " << device.allocation_count()
            << " allocations\n";
}

ExitCode RunMemory(const MemoryOptions&, const CommandContext& context) {
  const Connection connection = context.Connect();
  grpc::ClientContext call;
  v1::GetMemoryResponse response;
  const grpc::Status status = connection.stub().GetMemory(&call, {}, &response);
  if (!status.ok()) return ReportFailure(status, context);
  if (context.json()) {
    std::cout << ToJson(response) << '\n';
    return ExitCode::kOk;
  }
  for (const v1::DeviceMemory& device : response.devices()) PrintDevice(device);
  return ExitCode::kOk;
}

}  // namespace

void AddMemory(CLI::App& app, CommandContext& context) {
  AddCommand(app, context, "memory", "Show the memory ledger of every device",
             std::make_shared<MemoryOptions>(), &RunMemory);
}

}  // namespace forge::client
