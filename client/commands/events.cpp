#include <cstdio>
#include <iostream>

#include "client/commands/command.h"
#include "client/commands/event_names.h"
#include "client/terminal/interrupt.h"
#include "client/terminal/json_output.h"
#include "client/terminal/units.h"

namespace forge::client {

namespace {

struct EventsOptions {
  bool follow = false;
  uint32_t newest = 0;
};

std::string What(const v1::Event& event) {
  std::string what = EventKindName(event.kind());
  if (event.cause() != v1::UNLOAD_CAUSE_UNSPECIFIED) what += "/" + UnloadCauseName(event.cause());
  if (event.has_queue_position()) what += " #" + std::to_string(event.queue_position());
  return what;
}

// One line each, because they come as they happen; widths that most values fit.
void PrintLine(const std::string& time, const std::string& what, const std::string& device,
               const std::string& model, const std::string& bytes, const std::string& free,
               const std::string& reason) {
  std::printf("%-19s  %-20s  %-6s  %-24s  %10s  %10s  %s\n", time.c_str(), what.c_str(),
              device.c_str(), model.c_str(), bytes.c_str(), free.c_str(), reason.c_str());
}

void Print(const v1::Event& event) {
  std::string reason = event.reason();
  if (event.has_duration()) reason = "after " + FormatDuration(event.duration());
  PrintLine(FormatTimeToSeconds(event.time()), What(event), event.device(), event.model(),
            event.bytes() > 0 ? FormatBytes(event.bytes()) : "",
            event.device().empty() ? "" : FormatBytes(event.free_bytes()), reason);
}

ExitCode RunEvents(const EventsOptions& options, const CommandContext& context) {
  v1::WatchEventsRequest request;
  request.set_newest_count(options.newest);
  request.set_follow(options.follow);
  BlockInterrupts();
  const Connection connection = context.Connect();
  grpc::ClientContext call;
  const auto stream = connection.stub().WatchEvents(&call, request);
  InterruptScope interrupts([&](int) { call.TryCancel(); });
  v1::WatchEventsResponse response;
  bool is_first = true;
  while (stream->Read(&response)) {
    if (context.json()) {
      std::cout << ToJson(response.event()) << std::endl;
      continue;
    }
    if (is_first) PrintLine("TIME", "EVENT", "DEVICE", "MODEL", "BYTES", "FREE", "WHY");
    is_first = false;
    Print(response.event());
    std::fflush(stdout);
  }
  const grpc::Status status = stream->Finish();
  if (interrupts.interrupted()) return ExitCode::kInterrupted;
  return status.ok() ? ExitCode::kOk : ReportFailure(status, context);
}

}  // namespace

void AddEvents(CLI::App& app, CommandContext& context) {
  auto options = std::make_shared<EventsOptions>();
  CLI::App* command = AddCommand(app, context, "events", "Show what happened to memory, and why",
                                 options, &RunEvents);
  command->add_flag("-f,--follow", options->follow, "Go on with what happens, until Ctrl-C");
  command->add_option("-n,--newest", options->newest, "At most so many of those that are kept");
}

}  // namespace forge::client
