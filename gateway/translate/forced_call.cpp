#include "gateway/translate/forced_call.h"

#include <cstdio>
#include <utility>

namespace forge::gateway {

namespace {

using Turn = v1::GenerateRequest::Turn;

// The schema of a tool's arguments, which are an object. A tool without one takes none.
Json ArgumentsSchema(const v1::Tool& tool) {
  if (tool.parameters_json().empty())
    return {{"type", "object"}, {"properties", Json::object()}, {"additionalProperties", false}};
  Json schema = Json::parse(tool.parameters_json());
  if (!schema.contains("type")) schema["type"] = "object";
  return schema;
}

// The schema as a part of another document, at `place` ("#/$defs/0"): what it refers to in itself
// is there now.
void MoveReferences(Json& schema, const std::string& place) {
  for (auto& [name, value] : schema.items()) {
    const bool is_own = name == "$ref" && value.is_string() &&
                        (value == "#" || value.get_ref<const std::string&>().starts_with("#/"));
    if (is_own)
      value = place + value.get_ref<const std::string&>().substr(1);
    else if (value.is_structured())
      MoveReferences(value, place);
  }
}

// {"name": ..., "arguments": {...}} of one of the tools.
Json CallSchema(const v1::ChatMessages& chat) {
  Json calls = Json::array();
  Json definitions = Json::object();
  for (const v1::Tool& tool : chat.tools()) {
    const std::string key = std::to_string(calls.size());
    Json arguments = ArgumentsSchema(tool);
    MoveReferences(arguments, "#/$defs/" + key);
    definitions[key] = std::move(arguments);
    const Json properties = {{"name", {{"const", tool.name()}}},
                             {"arguments", {{"$ref", "#/$defs/" + key}}}};
    calls.push_back({{"type", "object"},
                     {"properties", properties},
                     {"required", Json::array({"name", "arguments"})}});
  }
  return {{"anyOf", std::move(calls)}, {"$defs", std::move(definitions)}};
}

// As the daemon's ids of calls, which go on with the conversation: nine characters, as templates of
// Mistral demand.
std::string NextId(const v1::ChatMessages& chat) {
  size_t n_calls = 0;
  for (const v1::ChatMessage& message : chat.messages())
    n_calls += static_cast<size_t>(message.tool_calls_size());
  char id[32];
  std::snprintf(id, sizeof(id), "call%05zu", n_calls + 1);
  return id;
}

}  // namespace

std::optional<ToolChoice> ReadPlainChoice(const Json* choice) {
  if (choice == nullptr || *choice == "auto") return ToolChoice();
  if (*choice == "none") return ToolChoice{.shows_tools = false, .function = {}};
  if (*choice == "required") return ToolChoice{.demands_call = true, .function = {}};
  return std::nullopt;
}

Result<ToolChoice> ReadToolChoice(const Fields& body) {
  const Json* const choice = body.Find("tool_choice");
  if (const std::optional<ToolChoice> plain = ReadPlainChoice(choice)) return *plain;
  ToolChoice read = {.demands_call = true, .function = {}};
  const Status refused =
      BadField("tool_choice", "is " + Dump(*choice).substr(0, 100) +
                                  ", but must be \"auto\", \"none\", \"required\" or {\"type\": "
                                  "\"function\", \"function\": {\"name\": NAME}}");
  if (!choice->is_object()) return refused;
  const Fields fields{*choice, "tool_choice."};
  FORGE_ASSIGN_OR_RETURN(const auto type, fields.Text("type"));
  FORGE_ASSIGN_OR_RETURN(const Json* const function, fields.Object("function"));
  if (type != "function" || function == nullptr) return refused;
  const Fields named{*function, "tool_choice.function."};
  FORGE_ASSIGN_OR_RETURN(const auto name, named.Text("name"));
  if (!name || name->empty()) return BadField("tool_choice.function.name", "is missing");
  read.function = *name;
  return read;
}

Result<ForcedCall> ForceCall(const ToolChoice& choice, Turn& turn) {
  const v1::ChatMessages& chat = turn.chat();
  if (chat.tools().empty())
    return BadField("tool_choice", "demands a call, but there are no tools");
  if (turn.has_grammar())
    return BadField("tool_choice", "and grammar cannot both say what the answer looks like");
  const v1::Tool* tool = chat.tools_size() == 1 ? &chat.tools(0) : nullptr;
  if (!choice.function.empty()) {
    tool = nullptr;
    for (const v1::Tool& candidate : chat.tools())
      if (candidate.name() == choice.function) tool = &candidate;
    if (tool == nullptr)
      return BadField(choice.function_field,
                      "is '" + choice.function.substr(0, 100) + "', which is none of the tools");
  }
  turn.set_json_schema(Dump(tool == nullptr ? CallSchema(chat) : ArgumentsSchema(*tool)));
  return ForcedCall{NextId(chat), tool == nullptr ? std::string() : tool->name()};
}

void TakeForcedCall(const ForcedCall& call, std::string& text,
                    v1::GenerateResponse::Finished& finished) {
  std::string name = call.function;
  std::string arguments = text;
  if (name.empty()) {
    const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
    if (!json.is_object() || !json.contains("name") || !json.contains("arguments")) return;
    name = json.value("name", "");
    arguments = Dump(json["arguments"]);
  }
  if (arguments.empty()) return;
  v1::ToolCall& taken = *finished.add_tool_calls();
  taken.set_id(call.id);
  taken.set_name(name);
  taken.set_arguments_json(arguments);
  text.clear();
  if (finished.reason() == v1::FINISH_REASON_END_OF_TEXT)
    finished.set_reason(v1::FINISH_REASON_TOOL_CALLS);
}

}  // namespace forge::gateway
