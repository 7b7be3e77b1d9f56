#include <cstdio>
#include <cstdlib>
#include <exception>

#include "daemon/config/config_file.h"
#include "daemon/config/config_sources.h"

namespace forge {
namespace {

constexpr int kExitUsage = 2;

// Prints the one sentence that tells why forged cannot go on.
int Fail(const Status& status, int exit_code) {
  std::fprintf(stderr, "forged: %.*s\n", static_cast<int>(status.message().size()),
               status.message().data());
  return exit_code;
}

int Run(int argc, const char* const* argv) {
  const Result<CommandLine> command_line = ParseCommandLine(argc, argv);
  if (!command_line.ok()) return Fail(command_line.status(), kExitUsage);
  if (command_line->action == CommandLine::Action::kPrintText) {
    std::fputs(command_line->text.c_str(), stdout);
    return 0;
  }
  const Result<LoadedConfig> loaded = LoadConfig(*command_line, std::getenv, FORGE_CONFIG_FILE);
  if (!loaded.ok()) return Fail(loaded.status(), kExitUsage);
  if (command_line->action == CommandLine::Action::kPrintConfig) {
    std::fputs(PrintConfig(loaded->config).c_str(), stdout);
  }
  return 0;
}

}  // namespace
}  // namespace forge

int main(int argc, char** argv) {
  try {
    return forge::Run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "forged: %s\n", error.what());
    return 1;
  }
}
