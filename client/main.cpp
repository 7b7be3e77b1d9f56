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
#include <string>
#include <string_view>
#include <vector>

#include "client/commands/command.h"
#include "client/commands/completion.h"
#include "client/commands/manual.h"
#include "client/commands/usage_error.h"
#include "client/commands/value_checks.h"
#include "client/text_input.h"

namespace {

constexpr char kFooter[] =
    "Examples:\n"
    "  forgectl list\n"
    "  forgectl load demo\n"
    "  forgectl generate demo \"Tell me a story about a fox.\"\n"
    "  git diff | forgectl generate qwen2.5-coder \"Review this change:\" -\n"
    "  forgectl ps -o json\n\n"
    "Exit codes: 0 ok, 1 failed, 2 usage, 3 not found, 4 permission, 5 daemon unreachable,\n"
    "  6 out of memory budget, 7 model file invalid, 8 deadline, 130 interrupted,\n"
    "  141 the reader of the output went away";
constexpr char kCommandFooter[] =
    "'forgectl --help' has the flags of every command (--address, -o json) and the exit codes.";

// Sets the footer of all commands below `app`.
void SetCommandFooters(CLI::App& app) {
  for (CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    command->footer(kCommandFooter);
    SetCommandFooters(*command);
  }
}

bool HasCommand(const CLI::App& app, const std::string& name) {
  const auto commands = app.get_subcommands([](const CLI::App*) { return true; });
  return std::any_of(commands.begin(), commands.end(), [&name](const CLI::App* command) {
    return command->check_name(name);  // aliases included
  });
}

// Prints what the last of the arguments may become, a line each: for the scripts of the shells in
// client/completion/, and so with no word of what goes wrong.
int PrintCandidates(const CLI::App& app, int argc, char** argv) {
  const std::vector<std::string> words(argv, argv + argc);
  for (const auto& [text, description] :
       forge::client::Complete(app, words, forge::client::FetchModelNames))
    std::cout << text << (description.empty() ? "" : "\t" + description) << '\n';
  return static_cast<int>(forge::client::ExitCode::kOk);
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
  SetCommandFooters(app);
  if (argc == 1) {
    std::cout << app.help();
    return static_cast<int>(forge::client::ExitCode::kOk);
  }
  if (std::string_view(argv[1]) == "__complete") return PrintCandidates(app, argc - 2, argv + 2);
  if (std::string_view(argv[1]) == "__manual") {
    std::cout << forge::client::ManualPage(app, FORGE_VERSION);
    return static_cast<int>(forge::client::ExitCode::kOk);
  }
  for (int i = 1; i < argc; ++i) forge::client::CheckUtf8("argument " + std::to_string(i), argv[i]);
  const std::string first = argv[1];
  if (!first.starts_with('-') && !HasCommand(app, first)) {
    std::cerr << "forgectl: " << forge::client::UnknownCommand(app, first)
              << "\nRun 'forgectl --help' for the list.\n";
    return static_cast<int>(forge::client::ExitCode::kUsage);
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) {  // it asks for help, or the version
      app.exit(error);
      return static_cast<int>(forge::client::ExitCode::kOk);
    }
    std::cerr << forge::client::ExplainUsage(app, error) << '\n';
    return static_cast<int>(forge::client::ExitCode::kUsage);
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
