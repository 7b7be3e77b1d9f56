#pragma once

#include <memory>
#include <optional>
#include <string>

#include "client/chat/answerer.h"
#include "client/chat/chat_interrupts.h"
#include "client/chat/message_reader.h"
#include "client/commands/command.h"

namespace forge::client {

// An interactive conversation with a resident model.
//
// Messages and /commands come from a LineReader, answers go to standard output and everything else
// to standard error. Where nobody sits at a terminal, the first failure ends it.
class Chat {
 public:
  // Lifetime: everything must outlive it.
  Chat(const CommandContext& context, const v1::Model& model, Answerer& answerer,
       Conversation& conversation, LineReader& lines, ChatInterrupts& interrupts,
       bool is_interactive)
      : context_(context),
        model_(model),
        answerer_(answerer),
        conversation_(conversation),
        messages_(lines),
        interrupts_(interrupts),
        is_interactive_(is_interactive) {}

  // Until the user leaves.
  ExitCode Run();

 private:
  // Set: the chat ends with it.
  using End = std::optional<ExitCode>;

  End Answer(const std::string& message);
  End RunCommand(const std::string& line);
  End SayHelp(const std::string& argument);
  End Clear(const std::string& argument);
  End SetSystem(const std::string& argument);
  End Set(const std::string& argument);
  End Save(const std::string& argument);
  End Load(const std::string& argument);
  End SayStats(const std::string& argument);
  End Leave(const std::string& argument);
  // Prints what went wrong.
  End Complain(const std::string& message);

  struct Command;
  static const Command kCommands[];

  const CommandContext& context_;
  const v1::Model& model_;
  Answerer& answerer_;
  Conversation& conversation_;
  MessageReader messages_;
  ChatInterrupts& interrupts_;
  const bool is_interactive_;
  std::optional<v1::GenerateResponse::Finished> last_;
};

}  // namespace forge::client
