#include "client/commands/chat_flags.h"

#include <CLI/Error.hpp>
#include <nlohmann/json.hpp>

#include "client/text_input.h"

namespace forge::client {

namespace {

using Json = nlohmann::ordered_json;

CLI::ValidationError BadTools(const ChatFlags& flags, const std::string& problem) {
  return CLI::ValidationError("--tools", flags.tools_file + " " + problem);
}

// {"type": "function", "function": {...}}, or what is within.
v1::Tool ReadTool(const ChatFlags& flags, const Json& entry) {
  const Json& function =
      entry.is_object() && entry.contains("function") ? entry["function"] : entry;
  if (!function.is_object() || !function.contains("name") || !function["name"].is_string())
    throw BadTools(flags, "has an entry that is no function with a name");
  v1::Tool tool;
  tool.set_name(function["name"].get<std::string>());
  if (function.contains("description") && function["description"].is_string())
    tool.set_description(function["description"].get<std::string>());
  tool.set_strict(function.value("strict", Json(false)) == true);
  if (function.contains("parameters")) tool.set_parameters_json(function["parameters"].dump());
  return tool;
}

}  // namespace

void AddChatFlags(CLI::App& command, ChatFlags& flags) {
  const auto group = "Chat";
  command
      .add_option("--tools", flags.tools_file,
                  "JSON file with a list of functions that the model may call")
      ->group(group);
  command
      .add_option("--template-option", flags.template_options,
                  "NAME=VALUE for the model's chat template; VALUE is JSON, or else a string; may "
                  "be repeated")
      ->allow_extra_args(false)
      ->group(group);
  command
      .add_flag("--no-think", flags.no_think,
                "Ask for no reasoning: --template-option enable_thinking=false")
      ->group(group);
}

void SetChatFlags(const ChatFlags& flags, v1::ChatMessages& chat) {
  if (!flags.tools_file.empty()) {
    const Json tools = Json::parse(ReadTextFile("--tools", flags.tools_file), nullptr,
                                   /*allow_exceptions=*/false);
    if (!tools.is_array()) throw BadTools(flags, "is no JSON list");
    for (const Json& entry : tools) *chat.add_tools() = ReadTool(flags, entry);
  }
  Json options = Json::object();
  if (flags.no_think) options["enable_thinking"] = false;
  for (const std::string& option : flags.template_options) {
    const size_t separator = option.find('=');
    if (separator == std::string::npos || separator == 0)
      throw CLI::ValidationError("--template-option", "'" + option + "' is not NAME=VALUE");
    const std::string value = option.substr(separator + 1);
    const Json parsed = Json::parse(value, nullptr, /*allow_exceptions=*/false);
    options[option.substr(0, separator)] = parsed.is_discarded() ? Json(value) : parsed;
  }
  if (!options.empty())
    chat.set_template_options_json(options.dump(-1, ' ', false, Json::error_handler_t::replace));
}

}  // namespace forge::client
