#include <grpcpp/client_context.h>

#include <chrono>
#include <cstdlib>
#include <iostream>
#include <nlohmann/json.hpp>

#include "client/commands/command.h"
#include "client/doctor/runtime_checks.h"
#include "client/doctor/system_checks.h"

namespace forge::client {

namespace {

struct DoctorOptions {
  std::string forged;
  std::string config;
  std::string root = "/";
};

std::string_view SeverityName(Severity severity) {
  switch (severity) {
    case Severity::kOk:
      return "ok";
    case Severity::kNote:
      return "note";
    case Severity::kWarning:
      return "warning";
    case Severity::kProblem:
      break;
  }
  return "problem";
}

// What the daemon says it runs on, if there is one.
Finding CheckDaemon(const CommandContext& context) {
  const Connection connection = context.Connect();
  grpc::ClientContext call;
  call.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(5));
  v1::GetServerInfoResponse info;
  const grpc::Status status = connection.stub().GetServerInfo(&call, {}, &info);
  if (!status.ok())
    return {Severity::kNote, "daemon", ExplainFailure(status, context.address).message,
            "what is said above holds without it"};
  std::string devices;
  for (const std::string& device : info.devices())
    devices += (devices.empty() ? "" : "; ") + device;
  return {Severity::kOk, "daemon", "forged " + info.version() + " runs on: " + devices, ""};
}

void PrintJson(const Findings& findings) {
  for (const Finding& finding : findings)
    std::cout << nlohmann::json({{"severity", SeverityName(finding.severity)},
                                 {"topic", finding.topic},
                                 {"what", finding.what},
                                 {"advice", finding.advice}})
                     .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)
              << '\n';
}

void PrintText(const Findings& findings) {
  for (const Finding& finding : findings) {
    std::cout << SeverityName(finding.severity) << ": " << finding.topic << ": " << finding.what
              << '\n';
    if (!finding.advice.empty()) std::cout << "    " << finding.advice << '\n';
  }
}

ExitCode RunDoctor(const DoctorOptions& options, const CommandContext& context) {
  const System system = {.root = options.root,
                         .environment = [](const char* name) { return std::getenv(name); }};
  Findings findings = CheckSystem(system);
  const Findings runtime =
      CheckRuntime(options.forged.empty() ? FindForged() : options.forged, options.config);
  findings.insert(findings.end(), runtime.begin(), runtime.end());
  findings.push_back(CheckDaemon(context));
  context.json() ? PrintJson(findings) : PrintText(findings);
  for (const Finding& finding : findings)
    if (finding.severity == Severity::kProblem) return ExitCode::kFailed;
  return ExitCode::kOk;
}

}  // namespace

void AddDoctor(CLI::App& app, CommandContext& context) {
  const auto options = std::make_shared<DoctorOptions>();
  CLI::App* const command =
      AddCommand(app, context, "doctor",
                 "Say whether models can run on a GPU of this machine, and what is missing; works "
                 "without the daemon",
                 options, &RunDoctor);
  command->add_option("--forged", options->forged, "The daemon's program")
      ->type_name("PATH")
      ->default_str("the one beside forgectl");
  command->add_option("--config", options->config, "The daemon's configuration file")
      ->type_name("FILE");
  command->add_option("--system-root", options->root, "Look below this folder instead of /")
      ->group("");  // for tests
}

}  // namespace forge::client
