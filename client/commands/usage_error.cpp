#include "client/commands/usage_error.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "client/nearest.h"

namespace forge::client {

namespace {

using Names = std::vector<std::string>;

std::string DidYouMean(const std::string& name, const Names& candidates) {
  const std::string nearest = Nearest(name, candidates);
  return nearest.empty() ? nearest : "; did you mean '" + nearest + "'?";
}

Names CommandNames(const CLI::App& app) {
  Names names;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; }))
    names.push_back(command->get_name());
  return names;
}

// The innermost command that was given, as "forgectl policy replay".
std::pair<const CLI::App*, std::string> GivenCommand(const CLI::App& app) {
  const CLI::App* command = &app;
  std::string path = app.get_name();
  while (!command->get_subcommands().empty()) {
    command = command->get_subcommands().front();
    path += " " + command->get_name();
  }
  return {command, path};
}

Names OptionNames(const CLI::App& app, const CLI::App& command) {
  Names names;
  for (const CLI::App* owner : {&command, &app})
    for (const CLI::Option* option : owner->get_options())
      for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  return names;
}

// An argument that nothing takes: an option if there is one, since the others may have been meant
// for it. Empty if there is none.
std::string UnexpectedArgument(const CLI::App& app) {
  const Names rest = app.remaining(/*recurse=*/true);
  const auto option =
      std::ranges::find_if(rest, [](const std::string& a) { return a.starts_with("-"); });
  if (option != rest.end()) return option->substr(0, option->find('='));
  return rest.empty() ? std::string() : rest.front();
}

// "the argument 'model' is missing" of "model is required".
std::string WhatIsMissing(const CLI::App& command, std::string text) {
  constexpr std::string_view kEnd = " is required";
  if (!text.ends_with(kEnd)) return text;
  text.resize(text.size() - kEnd.size());
  if (text == "A subcommand") {
    std::string list;
    for (const std::string& name : CommandNames(command)) list += (list.empty() ? "" : ", ") + name;
    return "a command is missing, one of: " + list;
  }
  return (text.starts_with('-') ? text : "the argument '" + text + "'") + " is missing";
}

// "--context takes a whole number, not 'x'" of "Could not convert: --context = x".
std::string WhatIsNoNumber(const CLI::App& app, const CLI::App& command, const std::string& text) {
  constexpr std::string_view kBegin = "Could not convert: ";
  const size_t equals = text.find(" = ");
  if (!text.starts_with(kBegin) || equals == std::string::npos) return text;
  const std::string name = text.substr(kBegin.size(), equals - kBegin.size());
  std::string kind = "another kind of value";
  for (const CLI::App* owner : {&command, &app}) {
    const CLI::Option* const option = owner->get_option_no_throw(name);
    if (option == nullptr) continue;
    const std::string type = option->get_type_name();
    if (type.starts_with("FLOAT")) kind = "a number";
    if (type.starts_with("INT")) kind = "a whole number";
    if (type.starts_with("UINT")) kind = "a whole number that is not negative";
    break;
  }
  return name + " takes " + kind + ", not '" + text.substr(equals + 3) + "'";
}

// "--output: xml is none of table, json" of "--output: xml not in {table,json}".
std::string WhatIsNotAllowed(const std::string& text) {
  constexpr std::string_view kNotIn = " not in {";
  const size_t at = text.find(kNotIn);
  if (at == std::string::npos || !text.ends_with('}')) return text;
  std::string allowed;
  for (const char c : text.substr(at + kNotIn.size(), text.size() - at - kNotIn.size() - 1))
    allowed += c == ',' ? ", " : std::string(1, c);
  return text.substr(0, at) + " is none of " + allowed;
}

std::string WhatIsWrong(const CLI::App& app, const CLI::App& command,
                        const CLI::ParseError& error) {
  const std::string text = error.what();
  const std::string unexpected = UnexpectedArgument(app);
  if (unexpected.starts_with("-"))
    return "there is no option '" + unexpected + "'" +
           DidYouMean(unexpected, OptionNames(app, command));
  if (!unexpected.empty()) return "there is no place for the argument '" + unexpected + "'";
  const std::string& kind = error.get_name();
  if (kind == "RequiredError") return WhatIsMissing(command, text);
  if (kind == "ConversionError") return WhatIsNoNumber(app, command, text);
  if (kind == "ValidationError") return WhatIsNotAllowed(text);
  if (const size_t at = text.find(" required "); kind == "ArgumentMismatch" && at != text.npos)
    return text.substr(0, text.find(':')) + " needs a value";
  if (const size_t at = text.find(" excludes "); kind == "ExcludesError" && at != text.npos)
    return text.substr(0, at) + " and " + text.substr(at + 10) + " exclude each other";
  return text;
}

}  // namespace

std::string UnknownCommand(const CLI::App& app, const std::string& name) {
  // What other programs of the kind call it.
  constexpr std::pair<std::string_view, std::string_view> kElsewhere[] = {
      {"ls", "list"}, {"rm", "unload"}, {"run", "chat"}, {"start", "load"}, {"top", "ps"}};
  for (const auto& [other, ours] : kElsewhere)
    if (name == other)
      return "there is no command '" + name + "'; did you mean '" + std::string(ours) + "'?";
  return "there is no command '" + name + "'" + DidYouMean(name, CommandNames(app));
}

std::string ExplainUsage(const CLI::App& app, const CLI::ParseError& error) {
  const auto [command, path] = GivenCommand(app);
  const std::string unexpected = UnexpectedArgument(app);
  const bool names_no_command =
      !CommandNames(*command).empty() && !unexpected.empty() && !unexpected.starts_with("-");
  return path + ": " +
         (names_no_command ? UnknownCommand(*command, unexpected)
                           : WhatIsWrong(app, *command, error)) +
         "\nRun '" + path + " --help' for what there is.";
}

}  // namespace forge::client
