#include "gateway/translate/chat_answer.h"

#include <utility>

#include "gateway/translate/logprobs.h"

namespace forge::gateway {

namespace {

using Finished = v1::GenerateResponse::Finished;

bool IsContent(v1::TextKind kind) {
  return kind == v1::TEXT_KIND_CONTENT || kind == v1::TEXT_KIND_UNSPECIFIED;
}

Json ToolCallsJson(const Finished& finished, bool only_first, bool with_index) {
  Json calls = Json::array();
  for (const v1::ToolCall& call : finished.tool_calls()) {
    if (only_first && !calls.empty()) break;
    Json json = Json::object();
    if (with_index) json["index"] = calls.size();
    json["id"] = call.id();
    json["type"] = "function";
    json["function"] = {{"name", call.name()}, {"arguments", call.arguments_json()}};
    calls.push_back(std::move(json));
  }
  return calls;
}

}  // namespace

WholeChatAnswer::WholeChatAnswer(AnswerHead head, ChatAnswerOptions options)
    : head_(std::move(head)), options_(options) {}

void WholeChatAnswer::Take(const v1::GenerateResponse& event) {
  if (event.has_token()) {
    const v1::GenerateResponse::Token& token = event.token();
    TakeText(token.kind(), token.text());
    if (token.kind() == v1::TEXT_KIND_REASONING) ++n_reasoning_;
    if (options_.logprobs && IsContent(token.kind())) logprobs_.push_back(ChatLogprob(token));
  }
  if (!event.has_finished()) return;
  finished_ = event.finished();
  TakeText(finished_.kind(), finished_.text());
  if (options_.forced_call) TakeForcedCall(*options_.forced_call, content_, finished_);
}

// The text of a tool's call comes whole, with the end.
void WholeChatAnswer::TakeText(v1::TextKind kind, const std::string& text) {
  if (kind == v1::TEXT_KIND_TOOL_CALL) return;
  (kind == v1::TEXT_KIND_REASONING ? reasoning_ : content_) += text;
}

Json WholeChatAnswer::ToJson() const {
  Json message = {{"role", "assistant"}, {"content", content_}, {"refusal", nullptr}};
  if (!reasoning_.empty()) message["reasoning_content"] = reasoning_;
  if (!finished_.tool_calls().empty()) {
    message["tool_calls"] = ToolCallsJson(finished_, options_.one_tool_call, /*with_index=*/false);
    if (content_.empty()) message["content"] = nullptr;
  }
  Json choice = {{"index", 0},
                 {"message", std::move(message)},
                 {"logprobs", nullptr},
                 {"finish_reason", FinishReasonName(finished_.reason())}};
  if (options_.logprobs) choice["logprobs"] = {{"content", logprobs_}, {"refusal", nullptr}};
  Json json = head_.ToJson("chat.completion");
  json["choices"] = Json::array({std::move(choice)});
  json["usage"] = UsageJson(finished_.usage(), n_reasoning_);
  return json;
}

StreamedChatAnswer::StreamedChatAnswer(AnswerHead head, ChatAnswerOptions options)
    : head_(std::move(head)), options_(options) {}

std::string StreamedChatAnswer::Take(const v1::GenerateResponse& event) {
  if (!event.has_token() && !event.has_finished()) return {};
  std::string text;
  if (!std::exchange(has_begun_, true))
    text = Chunk({{"role", "assistant"}, {"content", ""}}, nullptr, nullptr);
  return text + (event.has_token() ? TakeToken(event.token()) : TakeFinished(event.finished()));
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

std::string StreamedChatAnswer::TextChunk(v1::TextKind kind, const std::string& text,
                                          const Json& logprobs) const {
  const char* const name = kind == v1::TEXT_KIND_REASONING ? "reasoning_content" : "content";
  return Chunk({{name, text}}, logprobs, nullptr);
}

std::string StreamedChatAnswer::TakeToken(const v1::GenerateResponse::Token& token) {
  if (token.kind() == v1::TEXT_KIND_TOOL_CALL) return {};
  if (token.kind() == v1::TEXT_KIND_REASONING) ++n_reasoning_;
  if (options_.forced_call && IsContent(token.kind())) {
    forced_ += token.text();
    return {};
  }
  Json logprobs;
  if (options_.logprobs && IsContent(token.kind()))
    logprobs = {{"content", Json::array({ChatLogprob(token)})}, {"refusal", nullptr}};
  if (token.text().empty() && logprobs.is_null()) return {};
  return TextChunk(token.kind(), token.text(), logprobs);
}

std::string StreamedChatAnswer::TakeFinished(Finished finished) {
  if (options_.forced_call) {
    *finished.mutable_text() = std::exchange(forced_, {}) + finished.text();
    TakeForcedCall(*options_.forced_call, *finished.mutable_text(), finished);
  }
  std::string text;
  if (!finished.text().empty() && finished.kind() != v1::TEXT_KIND_TOOL_CALL)
    text += TextChunk(finished.kind(), finished.text(), nullptr);
  if (!finished.tool_calls().empty())
    text += Chunk(
        {{"tool_calls", ToolCallsJson(finished, options_.one_tool_call, /*with_index=*/true)}},
        nullptr, nullptr);
  text += Chunk(Json::object(), nullptr, FinishReasonName(finished.reason()));
  if (options_.include_usage) {
    Json json = head_.ToJson("chat.completion.chunk");
    json["choices"] = Json::array();
    json["usage"] = UsageJson(finished.usage(), n_reasoning_);
    text += ServerSentEvent(json);
  }
  return text + kStreamEnd;
}

}  // namespace forge::gateway
