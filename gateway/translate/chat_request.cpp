#include "gateway/translate/chat_request.h"

#include <algorithm>

#include "gateway/translate/chat_messages.h"
#include "gateway/translate/template_options.h"
#include "gateway/translate/tool.h"

namespace forge::gateway {

namespace {

constexpr int64_t kMostTopLogprobs = 20;  // OpenAI's own limit

Status ReadTool(const Json& json, const std::string& path, v1::ChatMessages& chat) {
  if (!json.is_object()) return BadField(path, "must be an object");
  const Fields tool{json, path + "."};
  FORGE_ASSIGN_OR_RETURN(const auto type, tool.Text("type"));
  if (type.value_or("function") != "function")
    return BadField(path + ".type", "is '" + *type + "', but only functions are supported");
  FORGE_ASSIGN_OR_RETURN(const Json* const function, tool.Object("function"));
  if (function == nullptr) return BadField(path + ".function", "is missing");
  FORGE_ASSIGN_OR_RETURN(*chat.add_tools(),
                         ReadFunction({*function, path + ".function."}, "parameters"));
  return Status();
}

Status ReadTools(const Fields& body, ChatRequest& request) {
  FORGE_ASSIGN_OR_RETURN(const ToolChoice choice, ReadToolChoice(body));
  FORGE_ASSIGN_OR_RETURN(const auto parallel, body.Bool("parallel_tool_calls"));
  request.one_tool_call = !parallel.value_or(true);
  FORGE_ASSIGN_OR_RETURN(const Json* const tools, body.Array("tools"));
  for (size_t i = 0; tools != nullptr && choice.shows_tools && i < tools->size(); ++i)
    FORGE_TRY(
        ReadTool((*tools)[i], "tools[" + std::to_string(i) + "]", *request.turn.mutable_chat()));
  if (!choice.demands_call) return Status();
  FORGE_ASSIGN_OR_RETURN(request.forced_call, ForceCall(choice, request.turn));
  return Status();
}

// How hard the model is to think: OpenAI's name, or OpenRouter's object. Templates that know the
// name take it, as that of gpt-oss.
Result<std::optional<std::string>> ReadEffort(const Fields& body) {
  FORGE_ASSIGN_OR_RETURN(const auto effort, body.Text("reasoning_effort"));
  if (effort) return effort;
  FORGE_ASSIGN_OR_RETURN(const Json* const reasoning, body.Object("reasoning"));
  if (reasoning == nullptr) return std::optional<std::string>();
  return Fields{*reasoning, "reasoning."}.Text("effort");
}

Status ReadTemplateOptions(const Fields& body, v1::ChatMessages& chat) {
  FORGE_ASSIGN_OR_RETURN(TemplateOptions options, TemplateOptions::Read(body));
  FORGE_ASSIGN_OR_RETURN(const auto effort, ReadEffort(body));
  if (effort) options.Set("reasoning_effort", *effort);
  options.WriteTo(chat);
  return Status();
}

Status ReadLogprobs(const Fields& body, ChatRequest& request) {
  FORGE_ASSIGN_OR_RETURN(const auto wanted, body.Bool("logprobs"));
  FORGE_ASSIGN_OR_RETURN(const auto n_top, body.Integer("top_logprobs"));
  request.logprobs = wanted.value_or(false);
  if (!n_top || *n_top == 0) return Status();
  if (!request.logprobs) return BadField("top_logprobs", "needs logprobs: true");
  if (*n_top < 0 || *n_top > kMostTopLogprobs)
    return BadField("top_logprobs", "is " + std::to_string(*n_top) + ", but must be from 0 to " +
                                        std::to_string(kMostTopLogprobs));
  request.turn.set_top_logprobs(static_cast<uint32_t>(*n_top));
  return Status();
}

Status CheckModalities(const Fields& body) {
  FORGE_ASSIGN_OR_RETURN(const Json* const modalities, body.Array("modalities"));
  if (modalities == nullptr) return Status();
  const bool is_text = std::ranges::all_of(*modalities, [](const Json& m) { return m == "text"; });
  return is_text ? Status() : BadField("modalities", "must be [\"text\"]: answers are text");
}

}  // namespace

Result<ChatRequest> ReadChatRequest(const Json& body) {
  const Fields fields{body, ""};
  ChatRequest request;
  FORGE_TRY(ReadTurnFields(fields, request.turn));
  FORGE_TRY(CheckModalities(fields));
  FORGE_ASSIGN_OR_RETURN(request.delivery, ReadDelivery(fields));
  FORGE_TRY(ReadLogprobs(fields, request));
  FORGE_TRY(ReadMessages(fields, *request.turn.mutable_chat()));
  FORGE_TRY(ReadTools(fields, request));
  FORGE_TRY(ReadTemplateOptions(fields, *request.turn.mutable_chat()));
  return request;
}

}  // namespace forge::gateway
