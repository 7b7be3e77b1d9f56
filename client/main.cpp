#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <exception>
#include <iostream>
#include <numeric>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "client/commands/command.h"
#include "client/commands/value_checks.h"
#include "client/text_input.h"

namespace {

constexpr char kFooter[] =
    "Examples:\n"
    "  forgectl list\n"
    "  forgectl load demo\n"
    "  forgectl generate demo \"Tell me a story about a fox.\"\n"
    "  git diff | forgectl generate qwen2.5-coder \"Review this change:\"\n"
    "  forgectl ps -o json\n\n"
    "Exit codes: 0 ok, 1 failed, 2 usage, 3 not found, 4 permission, 5 daemon unreachable,\n"
    "  6 out of memory budget, 7 model file invalid, 8 deadline, 130 interrupted,\n"
    "  141 the reader of the output went away";

// The least number of insertions, deletions and substitutions that turn `a` into `b`.
size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), 0);
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i + 1);
    for (size_t j = 0; j < b.size(); ++j) {
      const size_t substituted = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({substituted, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row.back();
}

using Commands = std::vector<const CLI::App*>;

bool HasCommand(const Commands& commands, const std::string& name) {
  return std::any_of(commands.begin(), commands.end(), [&name](const CLI::App* command) {
    return command->check_name(name);  // aliases included
  });
}

// Says which command `name` was probably meant to be.
void ReportUnknownCommand(const Commands& commands, const std::string& name) {
  std::cerr << "forgectl: there is no command '" << name << "'";
  std::string nearest;
  size_t distance = 3;  // farther away is no typing error
  for (const CLI::App* command : commands) {
    const size_t candidate = EditDistance(name, command->get_name());
    if (candidate >= distance) continue;
    distance = candidate;
    nearest = command->get_name();
  }
  if (!nearest.empty()) std::cerr << "; did you mean '" << nearest << "'?";
  std::cerr << "\nRun 'forgectl --help' for the list.\n";
}

int Run(int argc, char** argv) {
  CLI::App app("Loads and runs language models through the forged daemon.", "forgectl");
  app.require_subcommand(1);
  app.fallthrough();
  app.footer(kFooter);
  app.set_version_flag("--version", "forgectl " FORGE_VERSION);
  forge::client::CommandContext context;
  context.address = forge::client::DefaultAddress();
  app.add_option("--address", context.address, "gRPC address of the daemon (FORGE_ADDRESS)")
      ->capture_default_str();
  app.add_option("-o,--output", context.output, "Output format")
      ->check(CLI::IsMember({"table", "json"}))
      ->capture_default_str();
  forge::client::AddCommands(app, context);
  if (argc == 1) {
    std::cout << app.help();
    return static_cast<int>(forge::client::ExitCode::kOk);
  }
  for (int i = 1; i < argc; ++i) forge::client::CheckUtf8("argument " + std::to_string(i), argv[i]);
  const std::string first = argv[1];
  const Commands commands =
      std::as_const(app).get_subcommands([](const CLI::App*) { return true; });
  if (!first.starts_with('-') && !HasCommand(commands, first)) {
    ReportUnknownCommand(commands, first);
    return static_cast<int>(forge::client::ExitCode::kUsage);
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const bool asked_for_help = error.get_exit_code() == 0;
    app.exit(error);
    return static_cast<int>(asked_for_help ? forge::client::ExitCode::kOk
                                           : forge::client::ExitCode::kUsage);
  }
  // After the line was parsed, since it may come from FORGE_ADDRESS.
  if (const std::string problem = forge::client::IsAddress(context.address); !problem.empty())
    throw CLI::ValidationError("--address", problem);
  // CLI11 runs the callbacks while it parses; the work starts when the whole line was understood.
  return static_cast<int>(context.run());
}

// What was printed has arrived, or the command has failed.
int Flush(int exit_code) {
  errno = 0;
  std::cout.flush();
  const bool is_written = std::fflush(stdout) == 0 && std::ferror(stdout) == 0;
  if (std::cout.good() && is_written) return exit_code;
  std::cerr << "forgectl: cannot write standard output"
            << (errno != 0 ? std::string(": ") + std::strerror(errno) : std::string()) << '\n';
  return exit_code != 0 ? exit_code : static_cast<int>(forge::client::ExitCode::kFailed);
}

}  // namespace

int main(int argc, char** argv) {
  std::ios::sync_with_stdio(false);
  std::signal(SIGPIPE, SIG_DFL);  // `forgectl ... | head` ends quietly
  try {
    return Flush(Run(argc, argv));
  } catch (const CLI::ParseError& error) {  // a flag's value that only the command could judge
    std::cerr << "forgectl: " << error.what() << '\n';
    return static_cast<int>(forge::client::ExitCode::kUsage);
  } catch (const std::exception& error) {
    std::cerr << "forgectl: " << error.what() << '\n';
    return static_cast<int>(forge::client::ExitCode::kFailed);
  }
}
