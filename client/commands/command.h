#pragma once

#include <grpcpp/support/status.h>

#include <CLI/App.hpp>
#include <functional>
#include <memory>
#include <string>

#include "client/connection.h"
#include "client/failure.h"
#include "client/model_argument.h"

namespace forge::client {

// What all commands share: where the daemon is, and how to print.
struct CommandContext {
  std::string address;
  std::string output = "table";
  std::function<ExitCode()> run;  // set by the command line that was given

  bool json() const { return output == "json"; }
  Connection Connect() const { return Connection(address); }
};

// Adds every command, in the order of the help. Each Add... adds one subcommand whose callback sets
// context.run.
void AddCommands(CLI::App& app, CommandContext& context);

// Prints "forgectl: <message>" on standard error and returns the exit code.
ExitCode ReportFailure(const grpc::Status& status, const CommandContext& context);

// A subcommand whose options live in `Options` and which is run by `run(options, context)`. A
// `model` among them is sent to the daemon as ModelArgument says.
template <typename Options>
CLI::App* AddCommand(CLI::App& app, CommandContext& context, const std::string& name,
                     const std::string& description, std::shared_ptr<Options> options,
                     ExitCode (*run)(const Options&, const CommandContext&)) {
  CLI::App* command = app.add_subcommand(name, description);
  command->callback([options, run, &context] {
    context.run = [options, run, &context] {
      if constexpr (requires { options->model; })
        options->model = ModelArgument(options->model, context.address);
      return run(*options, context);
    };
  });
  return command;
}

void AddChat(CLI::App& app, CommandContext& context);
void AddDetokenize(CLI::App& app, CommandContext& context);
void AddDoctor(CLI::App& app, CommandContext& context);
void AddEmbed(CLI::App& app, CommandContext& context);
void AddEvents(CLI::App& app, CommandContext& context);
void AddGenerate(CLI::App& app, CommandContext& context);
void AddList(CLI::App& app, CommandContext& context);
void AddLoad(CLI::App& app, CommandContext& context);
void AddMemory(CLI::App& app, CommandContext& context);
void AddPerplexity(CLI::App& app, CommandContext& context);
void AddPin(CLI::App& app, CommandContext& context);
void AddPlan(CLI::App& app, CommandContext& context);
void AddPolicy(CLI::App& app, CommandContext& context);
void AddPs(CLI::App& app, CommandContext& context);
void AddScore(CLI::App& app, CommandContext& context);
void AddShow(CLI::App& app, CommandContext& context);
void AddStatus(CLI::App& app, CommandContext& context);
void AddTokenize(CLI::App& app, CommandContext& context);
void AddUnload(CLI::App& app, CommandContext& context);
void AddVersion(CLI::App& app, CommandContext& context);
void AddYield(CLI::App& app, CommandContext& context);

}  // namespace forge::client
