#include "gateway/translate/anthropic_request.h"

#include <string>
#include <utility>

#include "gateway/translate/anthropic_messages.h"
#include "gateway/translate/template_options.h"
#include "gateway/translate/tool.h"
#include "gateway/translate/turn_fields.h"

namespace forge::gateway {

namespace {

constexpr UnsupportedField kRefused[] = {
    {"mcp_servers", "is not supported: no server is asked; the client must call it"},
    {"container", "is not supported: nothing is run"},
};

Result<ToolChoice> ReadAnthropicChoice(const Fields& body, bool& one_tool_call) {
  ToolChoice read;
  read.function_field = "tool_choice.name";
  FORGE_ASSIGN_OR_RETURN(const Json* const choice, body.Object("tool_choice"));
  if (choice == nullptr) return read;
  const Fields fields{*choice, "tool_choice."};
  FORGE_ASSIGN_OR_RETURN(const auto not_parallel, fields.Bool("disable_parallel_tool_use"));
  one_tool_call = not_parallel.value_or(false);
  FORGE_ASSIGN_OR_RETURN(const auto type, fields.Text("type"));
  if (type == "auto") return read;
  if (type == "none") {
    read.shows_tools = false;
    return read;
  }
  read.demands_call = true;
  if (type == "any") return read;
  if (type != "tool") return BadField("tool_choice.type", "must be auto, any, tool or none");
  FORGE_ASSIGN_OR_RETURN(const auto name, fields.Text("name"));
  if (!name || name->empty()) return BadField("tool_choice.name", "is missing");
  read.function = *name;
  return read;
}

Result<v1::Tool> ReadAnthropicTool(const Json& json, const std::string& path) {
  if (!json.is_object()) return BadField(path, "must be an object");
  const Fields tool{json, path + "."};
  FORGE_ASSIGN_OR_RETURN(const auto type, tool.Text("type"));
  if (type.value_or("custom") != "custom")
    return BadField(tool.NameOf("type"),
                    "is '" + type->substr(0, 100) +
                        "', but only tools that the request describes are supported: of type "
                        "custom, with an input_schema");
  return ReadFunction(tool, "input_schema");
}

Status ReadTools(const Fields& body, AnthropicRequest& request) {
  FORGE_ASSIGN_OR_RETURN(const ToolChoice choice, ReadAnthropicChoice(body, request.one_tool_call));
  FORGE_ASSIGN_OR_RETURN(const Json* const tools, body.Array("tools"));
  for (size_t i = 0; tools != nullptr && choice.shows_tools && i < tools->size(); ++i) {
    FORGE_ASSIGN_OR_RETURN(*request.turn.mutable_chat()->add_tools(),
                           ReadAnthropicTool((*tools)[i], "tools[" + std::to_string(i) + "]"));
  }
  if (!choice.demands_call) return Status();
  FORGE_ASSIGN_OR_RETURN(request.forced_call, ForceCall(choice, request.turn));
  return Status();
}

Status ReadThinking(const Fields& body, AnthropicRequest& request, TemplateOptions& options) {
  FORGE_ASSIGN_OR_RETURN(const Json* const thinking, body.Object("thinking"));
  if (thinking == nullptr) return Status();
  const Fields fields{*thinking, "thinking."};
  FORGE_ASSIGN_OR_RETURN(const auto type, fields.Text("type"));
  if (type != "enabled" && type != "adaptive" && type != "disabled")
    return BadField("thinking.type", "must be enabled, adaptive or disabled");
  options.Set("enable_thinking", *type != "disabled");
  FORGE_ASSIGN_OR_RETURN(const auto display, fields.Text("display"));
  request.shows_thoughts = display != "omitted";
  return Status();
}

// How hard the model is to think. Templates that know the name know no more than three.
Status ReadEffort(const Fields& config, TemplateOptions& options) {
  FORGE_ASSIGN_OR_RETURN(const auto effort, config.Text("effort"));
  if (!effort) return Status();
  const bool is_beyond = *effort == "xhigh" || *effort == "max";
  options.Set("reasoning_effort", is_beyond ? "high" : *effort);
  return Status();
}

// What the answer must look like: `output_config.format`, or its older name `output_format`.
Status ReadOutput(const Fields& body, v1::GenerateRequest::Turn& turn, TemplateOptions& options) {
  FORGE_ASSIGN_OR_RETURN(const Json* const older, body.Object("output_format"));
  if (older != nullptr) FORGE_TRY(ReadFormat(*older, "output_format", SchemaPlace::kBeside, turn));
  FORGE_ASSIGN_OR_RETURN(const Json* const config, body.Object("output_config"));
  if (config == nullptr) return Status();
  const Fields fields{*config, "output_config."};
  FORGE_TRY(ReadEffort(fields, options));
  FORGE_ASSIGN_OR_RETURN(const Json* const format, fields.Object("format"));
  if (format == nullptr) return Status();
  return ReadFormat(*format, "output_config.format", SchemaPlace::kBeside, turn);
}

// What a request and the counting of its tokens have in common. True: the last message asks.
Result<bool> ReadPrompt(const Fields& body, AnthropicRequest& request) {
  FORGE_TRY(ReadModel(body, request.turn));
  FORGE_TRY(RefuseFields(body, kRefused));
  ConversationWriter conversation(*request.turn.mutable_chat());
  FORGE_TRY(ReadAnthropicMessages(body, conversation));
  FORGE_ASSIGN_OR_RETURN(TemplateOptions options, TemplateOptions::Read(body));
  FORGE_TRY(ReadThinking(body, request, options));
  FORGE_TRY(ReadOutput(body, request.turn, options));
  FORGE_TRY(ReadTools(body, request));
  options.WriteTo(*request.turn.mutable_chat());
  return !conversation.ends_with_answer();
}

}  // namespace

Result<AnthropicRequest> ReadAnthropicRequest(const Json& body) {
  const Fields fields{body, ""};
  AnthropicRequest request;
  FORGE_ASSIGN_OR_RETURN(const bool asks, ReadPrompt(fields, request));
  if (!asks)
    return BadField("messages",
                    "ends with the assistant's, and an answer that was begun cannot be continued: "
                    "the last message must be the user's");
  FORGE_TRY(ReadSampling(fields, *request.turn.mutable_sampling()));
  FORGE_TRY(ReadStopStrings(fields, "stop_sequences", request.turn));
  FORGE_TRY(ReadLimit(fields, "max_tokens", request.turn));
  if (fields.Find("max_tokens") == nullptr) return BadField("max_tokens", "is missing");
  FORGE_ASSIGN_OR_RETURN(const auto stream, fields.Bool("stream"));
  request.stream = stream.value_or(false);
  return request;
}

Result<v1::TokenizeRequest> ReadCountRequest(const Json& body) {
  AnthropicRequest read;
  FORGE_TRY(ReadPrompt({body, ""}, read).status());
  v1::TokenizeRequest request;
  request.set_model(read.turn.model());
  *request.mutable_chat() = std::move(*read.turn.mutable_chat());
  request.set_ids_only(true);
  return request;
}

}  // namespace forge::gateway
