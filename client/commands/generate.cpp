#include <sys/stat.h>
#include <unistd.h>

#include <iostream>
#include <iterator>

#include "client/commands/answer_printer.h"
#include "client/commands/command.h"
#include "client/commands/generate_flags.h"
#include "client/terminal/interrupt.h"

namespace forge::client {

namespace {

// Whether somebody piped or redirected text to us; a daemon's or cron's empty input is neither.
bool HasInput() {
  struct stat input = {};
  return fstat(STDIN_FILENO, &input) == 0 && (S_ISFIFO(input.st_mode) || S_ISREG(input.st_mode));
}

// The prompt argument and standard input together, as in `cat file | forgectl generate m "Sum
// up:"`.
std::string ReadPrompt(const GenerateFlags& flags) {
  std::string prompt = flags.prompt == "-" ? std::string() : flags.prompt;
  if (flags.prompt != "-" && !HasInput()) return prompt;
  const std::string input(std::istreambuf_iterator<char>(std::cin), {});
  if (!prompt.empty() && !input.empty()) prompt += '\n';
  return prompt + input;
}

// Whether the prompt goes through the model's chat template, where the flags leave it open.
grpc::Status ChooseChat(const GenerateFlags& flags, const Connection& connection, bool& chat) {
  chat = flags.chat || flags.chat_flags.any();
  if (chat || flags.raw) return grpc::Status::OK;
  grpc::ClientContext call;
  v1::GetModelRequest request;
  request.set_model(flags.model);
  v1::GetModelResponse response;
  const grpc::Status status = connection.stub().GetModel(&call, request, &response);
  const v1::ModelDetails& details = response.model().details();
  if (status.ok()) chat = !details.chat_template().empty() && !details.is_chat_template_fallback();
  return status;
}

void SetPrompt(const GenerateFlags& flags, const std::string& prompt, bool chat,
               v1::GenerateRequest::Turn& turn) {
  if (!flags.token_ids.empty()) {
    turn.mutable_tokens()->mutable_ids()->Add(flags.token_ids.begin(), flags.token_ids.end());
    return;
  }
  if (!chat) {
    turn.mutable_text()->set_text(prompt);
    return;
  }
  if (!flags.system.empty()) {
    v1::ChatMessage& message = *turn.mutable_chat()->add_messages();
    message.set_role("system");
    message.set_content(flags.system);
  }
  v1::ChatMessage& message = *turn.mutable_chat()->add_messages();
  message.set_role("user");
  message.set_content(prompt);
  SetChatFlags(flags.chat_flags, *turn.mutable_chat());
}

ExitCode RunGenerate(const GenerateFlags& flags, const CommandContext& context) {
  v1::GenerateRequest request;
  *request.mutable_turn() = ToTurn(flags);
  const std::string prompt = flags.token_ids.empty() ? ReadPrompt(flags) : std::string();
  if (prompt.empty() && flags.token_ids.empty()) {
    std::cerr << "forgectl: no prompt: give one as argument, on standard input or as --token-ids\n";
    return ExitCode::kUsage;
  }
  BlockInterrupts();
  const Connection connection = context.Connect();
  bool chat = false;
  if (flags.token_ids.empty())
    if (const grpc::Status status = ChooseChat(flags, connection, chat); !status.ok())
      return ReportFailure(status, context);
  SetPrompt(flags, prompt, chat, *request.mutable_turn());

  grpc::ClientContext call;
  const auto stream = connection.stub().Generate(&call);
  stream->Write(request);
  // Ends this answer; a second Ctrl-C does not wait for the daemon.
  InterruptScope interrupts([&](int count) {
    if (count > 1) return call.TryCancel();
    v1::GenerateRequest cancel;
    cancel.mutable_cancel();
    stream->Write(cancel);
  });
  AnswerPrinter printer(context.json(), flags.verbose);
  v1::GenerateResponse event;
  bool finished = false;
  while (!finished && stream->Read(&event)) {
    printer.Print(event);
    finished = event.has_finished();
  }
  stream->WritesDone();
  const grpc::Status status = stream->Finish();
  if (interrupts.interrupted()) return ExitCode::kInterrupted;
  // A daemon that shuts down closes the stream behind a whole answer with an error.
  return finished || status.ok() ? ExitCode::kOk : ReportFailure(status, context);
}

}  // namespace

void AddGenerate(CLI::App& app, CommandContext& context) {
  auto flags = std::make_shared<GenerateFlags>();
  CLI::App* command =
      AddCommand(app, context, "generate", "Stream a resident model's answer", flags, &RunGenerate);
  AddGenerateFlags(*command, *flags);
}

}  // namespace forge::client
