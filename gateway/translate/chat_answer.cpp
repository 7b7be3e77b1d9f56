#include "gateway/translate/chat_answer.h"

#include <utility>

#include "gateway/translate/logprobs.h"

namespace forge::gateway {

namespace {

Json ToolCallsJson(const v1::GenerateResponse::Finished& finished, bool with_index) {
  Json calls = Json::array();
  for (const v1::ToolCall& call : finished.tool_calls()) {
    Json json = Json::object();
    if (with_index) json["index"] = calls.size();
    json["id"] = call.id();
    json["type"] = "function";
    json["function"] = {{"name", call.name()}, {"arguments", call.arguments_json()}};
    calls.push_back(std::move(json));
  }
  return calls;
}

// Whether `event` is a token of the content, which has log-probabilities.
bool IsContent(const v1::GenerateResponse& event) {
  const v1::TextKind kind = event.token().kind();
  return event.has_token() && (kind == v1::TEXT_KIND_CONTENT || kind == v1::TEXT_KIND_UNSPECIFIED);
}

}  // namespace

WholeChatAnswer::WholeChatAnswer(AnswerHead head, ChatAnswerOptions options)
    : head_(std::move(head)),
      has_logprobs_(options.logprobs),
      reader_(std::move(options.forced_call), options.one_tool_call) {}

void WholeChatAnswer::Take(const v1::GenerateResponse& event) {
  const TurnReader::Text text = reader_.Take(event);
  (text.is_thought ? reasoning_ : content_) += text.text;
  if (has_logprobs_ && IsContent(event)) logprobs_.push_back(ChatLogprob(event.token()));
}

Json WholeChatAnswer::ToJson() const {
  Json message = {{"role", "assistant"}, {"content", content_}, {"refusal", nullptr}};
  if (!reasoning_.empty()) message["reasoning_content"] = reasoning_;
  if (!reader_.finished().tool_calls().empty()) {
    message["tool_calls"] = ToolCallsJson(reader_.finished(), /*with_index=*/false);
    if (content_.empty()) message["content"] = nullptr;
  }
  Json choice = {{"index", 0},
                 {"message", std::move(message)},
                 {"logprobs", nullptr},
                 {"finish_reason", FinishReasonName(reader_.finished().reason())}};
  if (has_logprobs_) choice["logprobs"] = {{"content", logprobs_}, {"refusal", nullptr}};
  Json json = head_.ToJson("chat.completion");
  json["choices"] = Json::array({std::move(choice)});
  json["usage"] = UsageJson(reader_.finished().usage(), reader_.n_reasoning());
  return json;
}

StreamedChatAnswer::StreamedChatAnswer(AnswerHead head, ChatAnswerOptions options)
    : head_(std::move(head)),
      options_(std::move(options)),
      reader_(options_.forced_call, options_.one_tool_call) {}

std::string StreamedChatAnswer::Take(const v1::GenerateResponse& event) {
  if (IsProgress(event)) return Begin() + ServerSentProgress(event);
  if (!event.has_token() && !event.has_finished()) return {};
  std::string chunks = Begin();
  const TurnReader::Text text = reader_.Take(event);
  Json logprobs;
  if (options_.logprobs && !options_.forced_call && IsContent(event))
    logprobs = {{"content", Json::array({ChatLogprob(event.token())})}, {"refusal", nullptr}};
  if (!text.text.empty() || !logprobs.is_null()) chunks += TextChunk(text, logprobs);
  return event.has_finished() ? chunks + End() : chunks;
}

std::string StreamedChatAnswer::Begin() {
  if (std::exchange(has_begun_, true)) return {};
  return Chunk({{"role", "assistant"}, {"content", ""}}, nullptr, nullptr);
}

std::string StreamedChatAnswer::Chunk(Json delta, const Json& logprobs,
                                      const char* finish_reason) const {
  Json json = head_.ToJson("chat.completion.chunk");
  json["choices"] =
      Json::array({{{"index", 0},
                    {"delta", std::move(delta)},
                    {"logprobs", logprobs},
                    {"finish_reason", finish_reason == nullptr ? Json() : Json(finish_reason)}}});
  if (options_.include_usage) json["usage"] = nullptr;
  return ServerSentEvent(json);
}

std::string StreamedChatAnswer::TextChunk(const TurnReader::Text& text,
                                          const Json& logprobs) const {
  return Chunk({{text.is_thought ? "reasoning_content" : "content", text.text}}, logprobs, nullptr);
}

std::string StreamedChatAnswer::End() const {
  const v1::GenerateResponse::Finished& finished = reader_.finished();
  std::string text;
  if (!finished.tool_calls().empty())
    text += Chunk({{"tool_calls", ToolCallsJson(finished, /*with_index=*/true)}}, nullptr, nullptr);
  text += Chunk(Json::object(), nullptr, FinishReasonName(finished.reason()));
  if (options_.include_usage) {
    Json json = head_.ToJson("chat.completion.chunk");
    json["choices"] = Json::array();
    json["usage"] = UsageJson(finished.usage(), reader_.n_reasoning());
    text += ServerSentEvent(json);
  }
  return text + kStreamEnd;
}

}  // namespace forge::gateway
