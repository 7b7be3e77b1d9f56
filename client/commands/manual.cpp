#include "client/commands/manual.h"

#include <algorithm>
#include <string_view>

namespace forge::client {

namespace {

// Text as roff prints it and not as requests: its lines begin with neither a dot nor a quote.
std::string Escape(std::string_view text) {
  std::string escaped;
  bool is_first = true;
  for (const char c : text) {
    if (is_first && (c == '.' || c == '\'')) escaped += "\\&";
    is_first = c == '\n';
    if (c == '\\')
      escaped += "\\e";
    else
      escaped += c == '-' ? "\\-" : std::string(1, c);
  }
  return escaped;
}

// "f16|f32" of "TEXT:{f16,f32}", and "INT" of "INT:SIZE [b, kb, ...]".
std::string ValueOf(const CLI::Option& option) {
  if (option.get_items_expected_max() == 0) return "";
  std::string type = option.get_type_name();
  const size_t colon = type.find(':');
  if (type.find(":{") == colon && colon != std::string::npos && type.ends_with('}')) {
    type = type.substr(colon + 2, type.size() - colon - 3);
    std::ranges::replace(type, ',', '|');
  } else {
    type.resize(std::min(colon, type.size()));
  }
  return type.empty() ? "VALUE" : type;
}

std::string Entry(const CLI::Option& option) {
  std::string names;
  for (const std::string& name : option.get_snames()) names += ", \\fB\\-" + name + "\\fR";
  for (const std::string& name : option.get_lnames())
    names += ", \\fB" + Escape("--" + name) + "\\fR";
  if (names.empty()) names = ", \\fI" + Escape(option.get_name(/*positional=*/true)) + "\\fR";
  const std::string value = option.get_positional() ? "" : ValueOf(option);
  if (!value.empty()) names += " \\fI" + Escape(value) + "\\fR";
  return ".TP\n" + names.substr(2) + "\n" + Escape(option.get_description()) + "\n";
}

std::string Entries(const CLI::App& command) {
  std::string entries;
  for (const CLI::Option* option : command.get_options())
    if (!option->get_group().empty() && option != command.get_help_ptr()) entries += Entry(*option);
  return entries;
}

// A command and those below it, each with its arguments and options.
std::string Sections(const CLI::App& app, const std::string& path) {
  std::string sections;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    std::string line = path + " " + command->get_name();
    for (const CLI::Option* option : command->get_options())
      if (option->get_positional())
        line += (option->get_required() ? " " : " [") + option->get_name(true) +
                (option->get_required() ? "" : "]");
    sections += ".SS \"" + Escape(line) + "\"\n" + Escape(command->get_description()) + ".\n";
    for (const std::string& alias : command->get_aliases())
      sections += "Also called\n.BR " + Escape(alias) + " .\n";
    sections += Entries(*command) + Sections(*command, path + " " + command->get_name());
  }
  return sections;
}

// The paragraphs of the help's last part, whose first lines begin with a title and a colon.
std::string Footer(std::string_view text) {
  std::string sections;
  while (!text.empty()) {
    const size_t end = std::min(text.find("\n\n"), text.size());
    const std::string_view paragraph = text.substr(0, end);
    const size_t colon = std::min(paragraph.find(':'), paragraph.size() - 1);
    std::string title(paragraph.substr(0, colon));
    std::ranges::transform(title, title.begin(), [](unsigned char c) { return std::toupper(c); });
    std::string lines = "\n";
    for (const char c : paragraph.substr(colon + 1))  // without what they are indented by
      if (c != ' ' || !lines.ends_with('\n')) lines += c;
    lines.erase(0, lines.find_first_not_of('\n'));
    sections += ".SH " + title + "\n.nf\n" + Escape(lines) + "\n.fi\n";
    text.remove_prefix(std::min(end + 2, text.size()));
  }
  return sections;
}

}  // namespace

std::string ManualPage(const CLI::App& app, const std::string& version) {
  return ".TH FORGECTL 1 \"\" \"forge " + version + "\" \"User Commands\"\n" +
         ".SH NAME\nforgectl \\- load and run language models through the daemon forged\n" +
         ".SH SYNOPSIS\n.B forgectl\n[\\fIOPTIONS\\fR] \\fICOMMAND\\fR [\\fIARGUMENTS\\fR]\n" +
         ".SH DESCRIPTION\n" + Escape(app.get_description()) +
         "\nA model is named as\n.B forgectl list\nshows it, or by the path of its file.\n" +
         ".SH OPTIONS\nThey may stand before or behind the command.\n" + Entries(app) +
         ".SH COMMANDS\n" + Sections(app, "forgectl") +
         ".SH ENVIRONMENT\n.TP\n.B FORGE_ADDRESS\nWhere the daemon is, unless\n"
         ".B \\-\\-address\nsays so.\n" +
         Footer(app.get_footer()) +
         ".SH SEE ALSO\n.BR forged (8)\n.PP\nThe pages in /usr/share/doc/forge tell more.\n";
}

}  // namespace forge::client
