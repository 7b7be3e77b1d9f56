#include <sys/stat.h>
#include <unistd.h>

#include <CLI/Error.hpp>
#include <algorithm>
#include <atomic>
#include <iostream>

#include "client/commands/answer_printer.h"
#include "client/commands/command.h"
#include "client/commands/generate_flags.h"
#include "client/terminal/interrupt.h"
#include "client/text_input.h"

namespace forge::client {

namespace {

// Whether somebody piped or redirected text to us; a daemon's or cron's empty input is neither.
bool HasInput() {
  struct stat input = {};
  return fstat(STDIN_FILENO, &input) == 0 && (S_ISFIFO(input.st_mode) || S_ISREG(input.st_mode));
}

// The prompt argument, and standard input where - stands, as in `cat file | forgectl generate m
// "Sum up:" -`, or where there is no argument. Otherwise standard input is somebody else's, as in a
// shell's `while read` loop.
std::string ReadPrompt(const GenerateFlags& flags) {
  const auto n_inputs = std::ranges::count(flags.prompt, "-");
  if (n_inputs > 1 || static_cast<int64_t>(flags.prompt.size()) - n_inputs > 1)
    throw CLI::ValidationError("PROMPT",
                               n_inputs > 1 ? "- can be given once"
                                            : "is one argument; put it in quotes if it has spaces");
  if (flags.prompt.empty()) return HasInput() ? ReadStandardInput() : std::string();
  std::string prompt;
  for (const std::string& argument : flags.prompt) {
    const std::string part = argument == "-" ? ReadStandardInput() : argument;
    if (!prompt.empty() && !part.empty()) prompt += '\n';
    prompt += part;
  }
  return prompt;
}

// Whether the prompt goes through the model's chat template, where the flags leave it open.
grpc::Status ChooseChat(const GenerateFlags& flags, const Connection& connection,
                        grpc::ClientContext& call, bool& chat) {
  chat = flags.chat || flags.chat_flags.any() || !flags.system.empty();
  if (chat || flags.raw || !flags.token_ids.empty()) return grpc::Status::OK;
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

bool IsConstrained(const v1::GenerateRequest::Turn& turn) {
  return !turn.json_schema().empty() || !turn.grammar().empty();
}

// Says that an answer is not whole, where the person did not ask for its length.
void ReportCut(const v1::GenerateRequest::Turn& turn,
               const v1::GenerateResponse::Finished& finished) {
  const bool is_constrained = IsConstrained(turn);
  if (finished.reason() == v1::FINISH_REASON_CONTEXT_FULL)
    std::cerr << "forgectl: the answer was cut: the context is full\n";
  if (finished.reason() == v1::FINISH_REASON_MAX_TOKENS && is_constrained)
    std::cerr << "forgectl: the answer was cut at --max-tokens " << turn.max_tokens()
              << ", before it was whole\n";
}

using Stream = grpc::ClientReaderWriter<v1::GenerateRequest, v1::GenerateResponse>;

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
  grpc::ClientContext about, call;
  std::unique_ptr<Stream> stream;
  std::atomic<bool> is_asked = false;
  // Ends this answer; a second Ctrl-C does not wait for the daemon.
  InterruptScope interrupts([&](int count) {
    about.TryCancel();
    if (count > 1 || !is_asked) return call.TryCancel();
    v1::GenerateRequest cancel;
    cancel.mutable_cancel();
    stream->Write(cancel);
  });
  bool chat = false;
  const grpc::Status chosen = ChooseChat(flags, connection, about, chat);
  if (interrupts.interrupted()) return ExitCode::kInterrupted;
  if (!chosen.ok()) return ReportFailure(chosen, context);
  SetPrompt(flags, prompt, chat, *request.mutable_turn());
  stream = connection.stub().Generate(&call);
  stream->Write(request);
  is_asked = true;
  AnswerPrinter printer(context.json(), flags.verbose);
  v1::GenerateResponse event;
  while (!event.has_finished() && stream->Read(&event)) printer.Print(event);
  stream->WritesDone();
  const grpc::Status status = stream->Finish();
  if (interrupts.interrupted()) return ExitCode::kInterrupted;
  // A daemon that shuts down closes the stream behind a whole answer with an error.
  if (event.has_finished()) {
    if (context.json()) return ExitCode::kOk;  // the last line says how it ended
    ReportCut(request.turn(), event.finished());
    // What was to match a schema and was cut does not.
    const bool is_whole = event.finished().reason() == v1::FINISH_REASON_END_OF_TEXT;
    return is_whole || !IsConstrained(request.turn()) ? ExitCode::kOk : ExitCode::kFailed;
  }
  return ReportFailure(status.ok() ? EndedWithoutAnswer() : status, context);
}

}  // namespace

void AddGenerate(CLI::App& app, CommandContext& context) {
  auto flags = std::make_shared<GenerateFlags>();
  CLI::App* command =
      AddCommand(app, context, "generate", "Stream a model's answer", flags, &RunGenerate);
  AddGenerateFlags(*command, *flags);
}

}  // namespace forge::client
