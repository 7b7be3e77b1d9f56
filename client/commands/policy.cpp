#include <google/protobuf/util/json_util.h>

#include <CLI/App.hpp>
#include <CLI/Validators.hpp>
#include <iostream>
#include <optional>
#include <sstream>

#include "client/commands/command.h"
#include "client/commands/event_names.h"
#include "client/terminal/json_output.h"
#include "client/terminal/text_table.h"
#include "client/terminal/units.h"
#include "client/text_input.h"

namespace forge::client {

namespace {

// What one call takes: far below the daemon's limit on messages, and so is the answer.
constexpr size_t kMaxCallBytes = size_t{512} << 10;

struct ReplayOptions {
  std::string file;
  std::string policy;
  std::optional<double> free_fraction;
  std::optional<int64_t> reserve_bytes, cap_bytes;
  bool all = false;
};

struct Totals {
  size_t n_decisions = 0, n_changed = 0;
};

v1::ReplayPolicyRequest RequestOf(const ReplayOptions& options) {
  v1::ReplayPolicyRequest request;
  v1::ReplayPolicyRequest::Settings& settings = *request.mutable_settings();
  settings.set_policy(options.policy);
  if (options.free_fraction) settings.set_free_fraction(*options.free_fraction);
  if (options.reserve_bytes) settings.set_reserve_bytes(*options.reserve_bytes);
  if (options.cap_bytes) settings.set_cap_bytes(*options.cap_bytes);
  return request;
}

// Has the daemon decide the request's events again, and takes them out of it.
grpc::Status ReplayBatch(const Connection& connection, const ReplayOptions& options, bool json,
                         v1::ReplayPolicyRequest& request, TextTable& table, Totals& totals) {
  grpc::ClientContext call;
  v1::ReplayPolicyResponse response;
  const grpc::Status status = connection.stub().ReplayPolicy(&call, request, &response);
  if (!status.ok()) return status;
  request.clear_events();
  for (const v1::ReplayPolicyResponse::Replay& replay : response.replays()) {
    ++totals.n_decisions;
    if (replay.changed()) ++totals.n_changed;
    if (!replay.changed() && !options.all) continue;
    if (json) {
      std::cout << ToJson(replay) << '\n';
      continue;
    }
    table.AddRow({FormatTimeToSeconds(replay.event().time()), replay.event().device(),
                  replay.decision().model(), DecisionText(replay.event().decision()),
                  DecisionText(replay.decision()), replay.decision().reason()});
  }
  return status;
}

ExitCode RunReplay(const ReplayOptions& options, const CommandContext& context) {
  std::istringstream events(ReadTextFile("the audit file", options.file));
  const Connection connection = context.Connect();
  v1::ReplayPolicyRequest request = RequestOf(options);
  TextTable table({"TIME", "DEVICE", "MODEL", "WAS", "WOULD BE", "BECAUSE"});
  Totals totals;
  size_t n_bytes = 0, n_line = 0;
  for (std::string line; std::getline(events, line);) {
    ++n_line;
    google::protobuf::util::JsonParseOptions lenient;
    lenient.ignore_unknown_fields = true;  // of a newer daemon
    const auto parsed =
        google::protobuf::util::JsonStringToMessage(line, request.add_events(), lenient);
    if (!parsed.ok()) {
      std::cerr << "forgectl: " << options.file << ":" << n_line << " is no event\n";
      return ExitCode::kUsage;
    }
    n_bytes += line.size();
    if (n_bytes < kMaxCallBytes) continue;
    const grpc::Status status =
        ReplayBatch(connection, options, context.json(), request, table, totals);
    if (!status.ok()) return ReportFailure(status, context);
    n_bytes = 0;
  }
  const grpc::Status status =
      ReplayBatch(connection, options, context.json(), request, table, totals);
  if (!status.ok()) return ReportFailure(status, context);
  if (context.json()) return ExitCode::kOk;
  if (totals.n_changed > 0 || options.all) table.Print(std::cout);
  std::cout << totals.n_changed << " of " << totals.n_decisions
            << " decisions would have been others\n";
  return ExitCode::kOk;
}

}  // namespace

void AddPolicy(CLI::App& app, CommandContext& context) {
  CLI::App* policy = app.add_subcommand("policy", "Try other settings of the memory policy");
  policy->require_subcommand(1);
  auto options = std::make_shared<ReplayOptions>();
  CLI::App* replay = AddCommand(*policy, context, "replay",
                                "Decide again what an audit file recorded, under other settings",
                                options, &RunReplay);
  replay->add_option("file", options->file, "An audit file, or the output of 'events -o json'")
      ->required();
  replay->add_option("--policy", options->policy, "share or incremental")
      ->check(CLI::IsMember({"share", "incremental"}));
  replay->add_option("--free-fraction", options->free_fraction, "Above 0, at most 1");
  replay->add_option("--reserve-bytes", options->reserve_bytes, "Always left to others")
      ->transform(CLI::AsSizeValue(false));
  replay->add_option("--cap-bytes", options->cap_bytes, "Most that all models may take; 0: no cap")
      ->transform(CLI::AsSizeValue(false));
  replay->add_flag("--all", options->all, "Show decisions that stay the same, too");
}

}  // namespace forge::client
