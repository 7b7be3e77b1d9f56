#include "gateway/translate/responses_request.h"

#include <string>

#include "gateway/translate/responses_input.h"
#include "gateway/translate/template_options.h"
#include "gateway/translate/turn_fields.h"

namespace forge::gateway {

namespace {

constexpr char kNothingKept[] =
    "is not supported: nothing is kept between two requests; send the whole conversation as input";
constexpr UnsupportedField kRefused[] = {
    {"previous_response_id", kNothingKept},
    {"conversation", kNothingKept},
    {"prompt", "is not supported: prompts are not kept; send instructions and input"},
    {"background", "is not supported: the answer comes with the request"},
    {"top_logprobs", "is not supported: use /v1/chat/completions"},
};

// The fields of a request that an answer repeats, with what they are where they are unset.
Json SettingsOf(const Fields& body) {
  Json settings = {{"instructions", nullptr},
                   {"max_output_tokens", nullptr},
                   {"metadata", Json::object()},
                   {"parallel_tool_calls", true},
                   {"reasoning", nullptr},
                   {"temperature", nullptr},
                   {"text", {{"format", {{"type", "text"}}}}},
                   {"tool_choice", "auto"},
                   {"tools", Json::array()},
                   {"top_p", nullptr},
                   {"user", nullptr}};
  for (auto& [name, value] : settings.items()) {
    const Json* const given = body.Find(name.c_str());
    if (given != nullptr) value = *given;
  }
  // Whatever was wanted: nothing is kept, and nothing left out of a conversation.
  settings["background"] = false;
  settings["previous_response_id"] = nullptr;
  settings["store"] = false;
  settings["truncation"] = "disabled";
  return settings;
}

Result<ToolChoice> ReadResponsesChoice(const Fields& body) {
  const Json* const choice = body.Find("tool_choice");
  if (const std::optional<ToolChoice> plain = ReadPlainChoice(choice)) return *plain;
  ToolChoice read = {.demands_call = true, .function = {}, .function_field = "tool_choice.name"};
  const Status refused =
      BadField("tool_choice", "is " + Dump(*choice).substr(0, 100) +
                                  ", but must be \"auto\", \"none\", \"required\" or {\"type\": "
                                  "\"function\", \"name\": NAME}");
  if (!choice->is_object()) return refused;
  const Fields fields{*choice, "tool_choice."};
  FORGE_ASSIGN_OR_RETURN(const auto type, fields.Text("type"));
  FORGE_ASSIGN_OR_RETURN(const auto name, fields.Text("name"));
  if (type != "function") return refused;
  if (!name || name->empty()) return BadField("tool_choice.name", "is missing");
  FORGE_ASSIGN_OR_RETURN(const auto space, fields.Text("namespace"));
  read.function = space && !space->empty() ? NamespacedNames::Join(*space, *name) : *name;
  return read;
}

Status ReadTools(const Fields& body, ResponsesRequest& request) {
  FORGE_ASSIGN_OR_RETURN(const auto parallel, body.Bool("parallel_tool_calls"));
  request.one_tool_call = !parallel.value_or(true);
  FORGE_ASSIGN_OR_RETURN(const ToolChoice choice, ReadResponsesChoice(body));
  FORGE_ASSIGN_OR_RETURN(const Json* const tools, body.Array("tools"));
  if (tools != nullptr && choice.shows_tools)
    FORGE_TRY(ReadResponsesTools(*tools, *request.turn.mutable_chat(), request.names));
  if (!choice.demands_call) return Status();
  FORGE_ASSIGN_OR_RETURN(request.forced_call, ForceCall(choice, request.turn));
  return Status();
}

// How hard the model is to think, in the template's words.
Status ReadReasoning(const Fields& body, v1::ChatMessages& chat) {
  FORGE_ASSIGN_OR_RETURN(TemplateOptions options, TemplateOptions::Read(body));
  FORGE_ASSIGN_OR_RETURN(const Json* const reasoning, body.Object("reasoning"));
  if (reasoning != nullptr) {
    FORGE_ASSIGN_OR_RETURN(const auto effort, Fields({*reasoning, "reasoning."}).Text("effort"));
    if (effort == "none") options.Set("enable_thinking", false);
    if (effort && effort != "none") options.Set("reasoning_effort", *effort);
  }
  options.WriteTo(chat);
  return Status();
}

Status ReadOutput(const Fields& body, v1::GenerateRequest::Turn& turn) {
  FORGE_ASSIGN_OR_RETURN(const Json* const text, body.Object("text"));
  if (text == nullptr) return Status();
  FORGE_ASSIGN_OR_RETURN(const Json* const format, Fields({*text, "text."}).Object("format"));
  if (format == nullptr) return Status();
  return ReadFormat(*format, "text.format", SchemaPlace::kBeside, turn);
}

Status CheckTruncation(const Fields& body) {
  FORGE_ASSIGN_OR_RETURN(const auto truncation, body.Text("truncation"));
  if (truncation.value_or("disabled") == "disabled") return Status();
  return BadField("truncation", "must be \"disabled\": nothing is left out of a conversation");
}

Status ReadDelivery(const Fields& body, ResponsesRequest& request) {
  FORGE_ASSIGN_OR_RETURN(const auto stream, body.Bool("stream"));
  request.stream = stream.value_or(false);
  FORGE_ASSIGN_OR_RETURN(const Json* const include, body.Array("include"));
  for (size_t i = 0; include != nullptr && i < include->size(); ++i)
    request.seals_thoughts |= (*include)[i] == "reasoning.encrypted_content";
  return Status();
}

}  // namespace

Result<ResponsesRequest> ReadResponsesRequest(const Json& body) {
  const Fields fields{body, ""};
  ResponsesRequest request;
  FORGE_TRY(ReadModel(fields, request.turn));
  FORGE_TRY(RefuseFields(fields, kRefused));
  FORGE_TRY(CheckTruncation(fields));
  ConversationWriter conversation(*request.turn.mutable_chat());
  FORGE_TRY(ReadResponsesInput(fields, conversation));
  FORGE_TRY(ReadSampling(fields, *request.turn.mutable_sampling()));
  FORGE_TRY(ReadLimit(fields, "max_output_tokens", request.turn));
  FORGE_TRY(ReadOutput(fields, request.turn));
  FORGE_TRY(ReadTools(fields, request));
  FORGE_TRY(ReadReasoning(fields, *request.turn.mutable_chat()));
  FORGE_TRY(ReadDelivery(fields, request));
  request.settings = SettingsOf(fields);
  return request;
}

}  // namespace forge::gateway
