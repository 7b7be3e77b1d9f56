#include "gateway/translate/responses_items.h"

#include <string_view>
#include <utility>

#include "gateway/translate/responses_input.h"

namespace forge::gateway {

const char* ResponseStatus(const v1::GenerateResponse::Finished& finished) {
  const bool is_whole = std::string_view(FinishReasonName(finished.reason())) != "length";
  return is_whole ? "completed" : "incomplete";
}

std::string ItemId(const AnswerHead& head, const char* prefix, int index) {
  return prefix + head.id.substr(head.id.find('_') + 1) + "_" + std::to_string(index);
}

Json TextPart(const TextItem& item) {
  if (item.is_thought) return {{"type", "reasoning_text"}, {"text", item.text}};
  return {{"type", "output_text"},
          {"text", item.text},
          {"annotations", Json::array()},
          {"logprobs", Json::array()}};
}

Json EmptyTextItemJson(const TextItem& item) {
  Json json = {{"id", item.id},
               {"type", item.is_thought ? "reasoning" : "message"},
               {"status", "in_progress"},
               {"content", Json::array()}};
  if (item.is_thought)
    json["summary"] = Json::array();
  else
    json["role"] = "assistant";
  return json;
}

Json TextItemJson(const TextItem& item, const char* status, bool seals) {
  Json json = EmptyTextItemJson(item);
  json["status"] = status;
  json["content"].push_back(TextPart(item));
  if (item.is_thought && seals) json["encrypted_content"] = SealedThought(item.text);
  return json;
}

Json CallItemJson(const v1::ToolCall& call, const std::string& id, const NamespacedNames& names,
                  const char* status) {
  const NamespacedNames::Name* const name = names.Find(call.name());
  Json json = {{"id", id},
               {"type", "function_call"},
               {"status", status},
               {"call_id", call.id()},
               {"name", name == nullptr ? call.name() : name->function},
               {"arguments", call.arguments_json()}};
  if (name != nullptr) json["namespace"] = name->space;
  return json;
}

Json ResponseJson(const AnswerHead& head, const Json& settings, const char* status) {
  Json json = {{"id", head.id},    {"object", "response"}, {"created_at", head.created},
               {"status", status}, {"model", head.model},  {"output", Json::array()},
               {"usage", nullptr}, {"error", nullptr},     {"incomplete_details", nullptr}};
  json.update(settings);
  return json;
}

void Finish(const v1::GenerateResponse::Finished& finished, uint32_t n_reasoning, Json& response) {
  response["status"] = ResponseStatus(finished);
  if (response["status"] == "incomplete")
    response["incomplete_details"] = {{"reason", "max_output_tokens"}};
  const v1::Usage& usage = finished.usage();
  response["usage"] = {{"input_tokens", usage.prompt_tokens()},
                       {"input_tokens_details", {{"cached_tokens", usage.cached_tokens()}}},
                       {"output_tokens", usage.output_tokens()},
                       {"output_tokens_details", {{"reasoning_tokens", n_reasoning}}},
                       {"total_tokens", uint64_t{usage.prompt_tokens()} + usage.output_tokens()}};
}

}  // namespace forge::gateway
