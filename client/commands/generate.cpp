#include <sys/stat.h>
#include <unistd.h>

#include <iostream>
#include <iterator>

#include "client/commands/command.h"
#include "client/commands/generate_flags.h"
#include "client/commands/load_progress.h"
#include "client/terminal/interrupt.h"
#include "client/terminal/json_output.h"
#include "client/terminal/progress_bar.h"
#include "client/terminal/units.h"

namespace forge::client {

namespace {

// Prompts shorter than this are computed before a bar could be read.
constexpr uint32_t kPromptTokensWorthABar = 512;

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
  chat = flags.chat;
  if (flags.chat || flags.raw) return grpc::Status::OK;
  grpc::ClientContext call;
  v1::GetModelRequest request;
  request.set_model(flags.model);
  v1::GetModelResponse response;
  const grpc::Status status = connection.stub().GetModel(&call, request, &response);
  if (status.ok()) chat = !response.model().details().chat_template().empty();
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
}

std::string FormatRate(uint32_t tokens, const google::protobuf::Duration& duration) {
  const double seconds = Seconds(duration);
  if (seconds <= 0.0) return "-";
  return std::to_string(static_cast<int64_t>(tokens / seconds + 0.5)) + " tokens/s";
}

void PrintUsage(const v1::GenerateResponse::Finished& finished) {
  const v1::Usage& usage = finished.usage();
  std::cerr << "prompt " << usage.prompt_tokens() << " tokens in "
            << FormatDuration(usage.prefill_duration()) << " ("
            << FormatRate(usage.prompt_tokens(), usage.prefill_duration()) << "), answer "
            << usage.output_tokens() << " tokens in " << FormatDuration(usage.decode_duration())
            << " (" << FormatRate(usage.output_tokens(), usage.decode_duration()) << "), queued "
            << FormatDuration(usage.queue_duration()) << ", seed " << finished.seed() << ", "
            << v1::FinishReason_Name(finished.reason()) << '\n';
}

// Shows the events of a turn as they come.
class AnswerPrinter {
 public:
  AnswerPrinter(bool json, bool verbose) : json_(json), verbose_(verbose) {}

  void Print(const v1::GenerateResponse& event) {
    if (json_) {
      std::cout << ToJson(event) << std::endl;
      return;
    }
    if (event.has_load_progress()) ShowLoadProgress(event.load_progress(), bar_);
    if (event.has_queued())
      bar_.Show("queued", 0.0, "position " + std::to_string(event.queued().position()));
    if (event.has_prompt_progress()) ShowPrompt(event.prompt_progress());
    if (event.has_token()) PrintText(event.token().text());
    if (event.has_finished()) PrintEnd(event.finished());
  }

 private:
  void ShowPrompt(const v1::GenerateResponse::PromptProgress& progress) {
    if (progress.tokens_total() < kPromptTokensWorthABar) return;
    bar_.Show("prompt", static_cast<double>(progress.tokens_done()) / progress.tokens_total(),
              std::to_string(progress.tokens_done()) + " of " +
                  std::to_string(progress.tokens_total()) + " tokens");
  }
  void PrintText(const std::string& text) {
    bar_.Clear();
    std::cout << text << std::flush;
    if (!text.empty()) at_line_start_ = text.back() == '\n';
  }
  void PrintEnd(const v1::GenerateResponse::Finished& finished) {
    PrintText(finished.text());
    if (!at_line_start_) std::cout << std::endl;
    if (verbose_) PrintUsage(finished);
  }

  const bool json_;
  const bool verbose_;
  bool at_line_start_ = false;
  ProgressBar bar_;
};

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
