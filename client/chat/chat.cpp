#include "client/chat/chat.h"

#include <algorithm>
#include <cstdlib>
#include <iostream>

#include "client/commands/answer_printer.h"
#include "client/nearest.h"
#include "client/usage.h"

namespace forge::client {

struct Chat::Command {
  const char* name;
  const char* argument;
  const char* help;
  End (Chat::*run)(const std::string& argument);
};

const Chat::Command Chat::kCommands[] = {
    {"/help", "", "this list", &Chat::SayHelp},
    {"/clear", "", "start over; the system message stays", &Chat::Clear},
    {"/system", "TEXT", "set the system message and start over; without TEXT, remove it",
     &Chat::SetSystem},
    {"/set", "NAME VALUE", "set temperature, top_k, seed, max_tokens, ...; \"default\" unsets it",
     &Chat::Set},
    {"/save", "FILE", "write the conversation as JSON", &Chat::Save},
    {"/load", "FILE", "go on with a conversation that was saved", &Chat::Load},
    {"/stats", "", "tokens and speeds of the last answer", &Chat::SayStats},
    {"/exit", "", "leave; so do /quit, /bye and Ctrl-D", &Chat::Leave},
    // What other programs call it; without a help text they are not listed.
    {"/quit", "", "", &Chat::Leave},
    {"/bye", "", "", &Chat::Leave},
};

ExitCode Chat::Run() {
  bool wants_to_leave = false;  // Ctrl-C at an empty prompt
  std::string message;
  while (true) {
    const LineReader::Event event = messages_.Read(message);
    if (event == LineReader::Event::kEnd) {
      if (is_interactive_) std::cerr << '\n';
      return ExitCode::kOk;
    }
    if (event == LineReader::Event::kInterrupt) {
      if (wants_to_leave && message.empty()) return ExitCode::kOk;
      wants_to_leave = message.empty();
      if (wants_to_leave) std::cerr << "Ctrl-C again or Ctrl-D leaves\n";
      continue;
    }
    wants_to_leave = false;
    if (message.find_first_not_of(" \t\n") == std::string::npos) continue;
    const bool is_command = message.front() == '/' && message.find('\n') == std::string::npos;
    if (const End end = is_command ? RunCommand(message) : Answer(message)) return *end;
  }
}

Chat::End Chat::Answer(const std::string& message) {
  conversation_.Add("user", message);
  AnswerPrinter printer(/*json=*/false, /*verbose=*/false);
  Answerer::Answer answer;
  {
    const ChatInterrupts::Handler cancel(interrupts_, [this] { answerer_.Cancel(); });
    answer = answerer_.Ask(conversation_,
                           [&](const v1::GenerateResponse& event) { printer.Print(event); });
  }
  if (!answer.status.ok()) {
    if (!answer.message.content().empty()) std::cout << std::endl;
    // The question may be asked again.
    conversation_.RemoveLast();
    const ExitCode code = ReportFailure(answer.status, context_);
    return is_interactive_ ? End() : code;
  }
  if (is_interactive_) std::cout << std::endl;
  conversation_.Add(std::move(answer.message));
  last_ = answer.finished;
  if (last_->reason() == v1::FINISH_REASON_CONTEXT_FULL)
    std::cerr << "(the context is full; /clear starts over)\n";
  if (last_->reason() == v1::FINISH_REASON_CANCELLED) std::cerr << "(cancelled)\n";
  return std::nullopt;
}

Chat::End Chat::RunCommand(const std::string& line) {
  const size_t space = line.find(' ');
  const std::string name = line.substr(0, space);
  const size_t begin = space == std::string::npos ? space : line.find_first_not_of(' ', space);
  std::string argument = begin == std::string::npos ? std::string() : line.substr(begin);
  argument.erase(argument.find_last_not_of(" \t") + 1);
  for (const Command& command : kCommands)
    if (name == command.name) return (this->*command.run)(argument);
  std::vector<std::string> known;
  for (const Command& command : kCommands) known.push_back(command.name);
  const std::string nearest = Nearest(name, known);
  return Complain("there is no command " + name +
                  (nearest.empty() ? "; /help lists them" : "; did you mean " + nearest + "?") +
                  " A message that begins with / takes a space before it");
}

Chat::End Chat::SayHelp(const std::string& /*argument*/) {
  for (const Command& command : kCommands) {
    if (*command.help == '\0') continue;
    std::string usage = std::string(command.name) + " " + command.argument;
    usage.resize(18, ' ');
    std::cerr << "  " << usage << command.help << '\n';
  }
  std::cerr << "A line that ends in \\ goes on; a message of several lines stands between \"\"\" "
               "and \"\"\".\nCtrl-C ends the answer.\n";
  return std::nullopt;
}

Chat::End Chat::Clear(const std::string& /*argument*/) {
  conversation_.Clear();
  answerer_.Restart();
  return std::nullopt;
}

Chat::End Chat::SetSystem(const std::string& argument) {
  conversation_.SetSystem(argument);
  return Clear({});
}

Chat::End Chat::Set(const std::string& argument) {
  if (argument.empty()) {
    std::cerr << conversation_.Settings() << '\n';
    return std::nullopt;
  }
  const size_t space = argument.find_first_of(" =");
  const size_t value = argument.find_first_not_of(" =", std::min(space, argument.size()));
  if (value == std::string::npos)
    return Complain("/set " + argument.substr(0, space) +
                    " lacks a value, as in /set temperature 0.8; the value default unsets it");
  const auto error = conversation_.Set(argument.substr(0, space), argument.substr(value));
  return error ? Complain(*error) : End();
}

Chat::End Chat::Save(const std::string& argument) {
  if (argument.empty())
    return Complain("/save takes the name of a file to write, as in /save a.json");
  const auto error = conversation_.Save(argument);
  if (error) return Complain(*error);
  std::cerr << "saved " << conversation_.size() << " messages to " << argument << '\n';
  return std::nullopt;
}

Chat::End Chat::Load(const std::string& argument) {
  if (argument.empty()) return Complain("/load takes the name of a file that /save wrote");
  const auto error = conversation_.Load(argument);
  if (error) return Complain(*error);
  answerer_.Restart();
  std::cerr << "loaded " << conversation_.size() << " messages\n";
  return std::nullopt;
}

Chat::End Chat::SayStats(const std::string& /*argument*/) {
  if (!last_) return Complain("there is no answer yet");
  const v1::Usage& usage = last_->usage();
  std::cerr << "computed " << ComputedTokens(usage) << " tokens and found " << usage.cached_tokens()
            << " in the cache, " << FormatRate(ComputedTokens(usage), usage.prefill_duration())
            << "; answer " << usage.output_tokens() << " tokens, "
            << FormatRate(usage.output_tokens(), usage.decode_duration()) << GuessesText(usage)
            << "; context " << usage.context_used() << " of "
            << model_.details().options().context_length() << " tokens; seed " << last_->seed()
            << '\n';
  return std::nullopt;
}

Chat::End Chat::Leave(const std::string& /*argument*/) { return ExitCode::kOk; }

Chat::End Chat::Complain(const std::string& message) {
  std::cerr << "forgectl: " << message << '\n';
  return is_interactive_ ? End() : ExitCode::kUsage;
}

}  // namespace forge::client
