#include "client/chat/chat.h"

#include <unistd.h>

#include <iostream>

#include "client/commands/generate_flags.h"
#include "client/commands/load_flags.h"
#include "client/commands/load_stream.h"

namespace forge::client {

namespace {

struct ChatOptions {
  std::string model;
  std::string system;
  GenerateFlags sampling;
  LoadFlags load;
};

// The model as it is, loaded first where it is not resident.
grpc::Status MakeResident(const ChatOptions& options, const Connection& connection,
                          ChatInterrupts& interrupts, v1::Model& model) {
  grpc::ClientContext call;
  v1::GetModelRequest request;
  request.set_model(options.model);
  v1::GetModelResponse response;
  grpc::Status status = connection.stub().GetModel(&call, request, &response);
  if (!status.ok()) return status;
  model = response.model();
  // Flags that ask for something else than what is there are refused by the load.
  if (model.state() == v1::MODEL_STATE_READY && options.load == LoadFlags()) return status;
  LoadStream load(connection, options.model, ToLoadOptions(options.load));
  const ChatInterrupts::Handler cancel(interrupts, [&load] { load.Cancel(); });
  return load.Wait([&model](const v1::LoadModelResponse& event) {
    if (event.has_ready()) model = event.ready();
  });
}

// On a terminal, lines are edited; elsewhere they are read as they come, and nothing stands between
// Ctrl-C and the end.
std::unique_ptr<LineReader> MakeLineReader(const ChatInterrupts& interrupts, bool is_interactive) {
  if (is_interactive)
    if (auto reader = MakeTerminalLineReader(interrupts.fd())) return reader;
  return std::make_unique<StreamLineReader>(std::cin);
}

ExitCode RunChat(const ChatOptions& options, const CommandContext& context) {
  if (context.json()) {
    std::cerr << "forgectl: chat is for people; 'forgectl generate -o json' prints events\n";
    return ExitCode::kUsage;
  }
  BlockInterrupts();
  const bool is_interactive = isatty(STDIN_FILENO) == 1 && isatty(STDOUT_FILENO) == 1;
  const Connection connection = context.Connect();
  ChatInterrupts interrupts(/*ends_process=*/!is_interactive);
  v1::Model model;
  if (const grpc::Status status = MakeResident(options, connection, interrupts, model);
      !status.ok())
    return ReportFailure(status, context);
  if (is_interactive)
    std::cerr << model.name() << ", context " << model.details().options().context_length()
              << " tokens. /help lists the commands.\n";
  Answerer answerer(connection, options.model);
  v1::GenerateRequest::Turn turn = ToTurn(options.sampling);
  // Where it is evicted between two messages, it comes back as it was.
  *turn.mutable_load_options() = ToLoadOptions(options.load);
  Conversation conversation(std::move(turn));
  conversation.SetSystem(options.system);
  const std::unique_ptr<LineReader> lines = MakeLineReader(interrupts, is_interactive);
  return Chat(context, model, answerer, conversation, *lines, interrupts, is_interactive).Run();
}

}  // namespace

void AddChat(CLI::App& app, CommandContext& context) {
  auto options = std::make_shared<ChatOptions>();
  CLI::App* command = AddCommand(
      app, context, "chat", "Talk with a model; loads it first if necessary", options, &RunChat);
  command->add_option("model", options->model, "Name as in 'forgectl list', or a path")->required();
  command->add_option("--system", options->system, "System message");
  command->add_option("--max-tokens", options->sampling.max_tokens,
                      "Most tokens of an answer; 0: until the model ends (0)");
  AddSamplingFlags(*command, options->sampling);
  AddLoadFlags(*command, options->load);
}

}  // namespace forge::client
