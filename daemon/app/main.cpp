#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>

#include "daemon/app/application.h"
#include "daemon/app/engine_factory.h"
#include "daemon/app/probe_gpus.h"
#include "daemon/config/config_file.h"
#include "daemon/config/config_sources.h"
#include "daemon/telemetry/log.h"

namespace forge {
namespace {

constexpr int kExitFailure = 1;
constexpr int kExitUsage = 2;

// Prints the one sentence that tells why forged cannot go on.
int Fail(const Status& status, int exit_code) {
  std::fprintf(stderr, "forged: %.*s\n", static_cast<int>(status.message().size()),
               status.message().data());
  return exit_code;
}

int Serve(const LoadedConfig& loaded) {
  // A client that leaves while we write to it is an error of that write, not a signal.
  std::signal(SIGPIPE, SIG_IGN);
  const std::shared_ptr<spdlog::logger> log = CreateLog(loaded.config.log);
  if (loaded.file.empty()) {
    log->info("there is no {}; the defaults hold", FORGE_CONFIG_FILE);
  } else {
    log->info("configured by {}", loaded.file);
  }
  Result<std::unique_ptr<Engine>> engine = CreateEngine(loaded.config, *log);
  if (!engine.ok()) return Fail(engine.status(), kExitFailure);
  Application application(loaded.config, *std::move(engine), FORGE_VERSION, *log);
  const Status status = application.Run();
  return status.ok() ? EXIT_SUCCESS : Fail(status, kExitFailure);
}

int Run(int argc, const char* const* argv) {
  const Result<CommandLine> command_line = ParseCommandLine(argc, argv);
  if (!command_line.ok()) return Fail(command_line.status(), kExitUsage);
  if (command_line->action == CommandLine::Action::kPrintText) {
    std::fputs(command_line->text.c_str(), stdout);
    return EXIT_SUCCESS;
  }
  const Result<LoadedConfig> loaded = LoadConfig(*command_line, std::getenv, FORGE_CONFIG_FILE);
  if (!loaded.ok()) return Fail(loaded.status(), kExitUsage);
  switch (command_line->action) {
    case CommandLine::Action::kServe:
      return Serve(*loaded);
    case CommandLine::Action::kPrintConfig:
      std::fputs(PrintConfig(loaded->config).c_str(), stdout);
      return EXIT_SUCCESS;
    case CommandLine::Action::kProbeGpus:
      std::puts(ProbeGpus(loaded->config).c_str());
      return EXIT_SUCCESS;
    case CommandLine::Action::kCheckConfig:
    case CommandLine::Action::kPrintText:
      break;
  }
  return EXIT_SUCCESS;
}

}  // namespace
}  // namespace forge

int main(int argc, char** argv) {
  try {
    return forge::Run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "forged: %s\n", error.what());
    return forge::kExitFailure;
  }
}
