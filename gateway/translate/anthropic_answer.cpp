#include "gateway/translate/anthropic_answer.h"

#include <algorithm>
#include <utility>

namespace forge::gateway {

namespace {

using Finished = v1::GenerateResponse::Finished;

// Of a thought. Nothing is signed here; clients drop a thought without a signature when they send
// the conversation back, and the model would have forgotten why it called a tool.
constexpr char kSignature[] = "Zm9yZ2U=";  // "forge" in base64

const char* StopReason(const Finished& finished) {
  switch (finished.reason()) {
    case v1::FINISH_REASON_TOOL_CALLS:
      return "tool_use";
    case v1::FINISH_REASON_CONTEXT_FULL:
      return "model_context_window_exceeded";
    case v1::FINISH_REASON_MAX_TOKENS:
    case v1::FINISH_REASON_CANCELLED:
      return "max_tokens";  // the answer is not whole
    case v1::FINISH_REASON_STOP:
      return finished.stop_string().empty() ? "end_turn" : "stop_sequence";
    default:
      return "end_turn";
  }
}

Json StopSequence(const Finished& finished) {
  return finished.stop_string().empty() ? Json() : Json(finished.stop_string());
}

Json UsageOf(uint32_t n_prompt, uint32_t n_cached, uint32_t n_output) {
  return {{"input_tokens", n_prompt - std::min(n_cached, n_prompt)},
          {"cache_creation_input_tokens", 0},
          {"cache_read_input_tokens", n_cached},
          {"output_tokens", n_output}};
}

Json UsageOf(const v1::Usage& usage) {
  return UsageOf(usage.prompt_tokens(), usage.cached_tokens(), usage.output_tokens());
}

Json Message(const AnswerHead& head, Json content, Json stop_reason, Json stop_sequence,
             Json usage) {
  return {{"id", head.id},
          {"type", "message"},
          {"role", "assistant"},
          {"model", head.model},
          {"content", std::move(content)},
          {"stop_reason", std::move(stop_reason)},
          {"stop_sequence", std::move(stop_sequence)},
          {"usage", std::move(usage)}};
}

Json CallBlock(const v1::ToolCall& call, Json input) {
  return {
      {"type", "tool_use"}, {"id", call.id()}, {"name", call.name()}, {"input", std::move(input)}};
}

// The arguments as an object. Those of a call that is cut off are none.
Json InputOf(const v1::ToolCall& call) {
  Result<Json> input = ParseBody(call.arguments_json());
  return input.ok() ? *std::move(input) : Json::object();
}

std::string BlockStart(int index, Json block) {
  return NamedEvent(
      {{"type", "content_block_start"}, {"index", index}, {"content_block", std::move(block)}});
}

std::string BlockDelta(int index, Json delta) {
  return NamedEvent(
      {{"type", "content_block_delta"}, {"index", index}, {"delta", std::move(delta)}});
}

std::string BlockStop(int index) {
  return NamedEvent({{"type", "content_block_stop"}, {"index", index}});
}

}  // namespace

WholeAnthropicAnswer::WholeAnthropicAnswer(AnswerHead head, const AnthropicAnswerOptions& options)
    : head_(std::move(head)),
      shows_thoughts_(options.shows_thoughts),
      reader_(options.forced_call, options.one_tool_call) {}

void WholeAnthropicAnswer::Take(const v1::GenerateResponse& event) {
  const TurnReader::Text text = reader_.Take(event);
  (text.is_thought ? thought_ : text_) += text.text;
}

Json WholeAnthropicAnswer::ToJson() const {
  const Finished& finished = reader_.finished();
  Json content = Json::array();
  if (shows_thoughts_ && !thought_.empty())
    content.push_back({{"type", "thinking"}, {"thinking", thought_}, {"signature", kSignature}});
  if (!text_.empty()) content.push_back({{"type", "text"}, {"text", text_}});
  for (const v1::ToolCall& call : finished.tool_calls())
    content.push_back(CallBlock(call, InputOf(call)));
  return Message(head_, std::move(content), StopReason(finished), StopSequence(finished),
                 UsageOf(finished.usage()));
}

StreamedAnthropicAnswer::StreamedAnthropicAnswer(AnswerHead head,
                                                 const AnthropicAnswerOptions& options)
    : head_(std::move(head)),
      shows_thoughts_(options.shows_thoughts),
      reader_(options.forced_call, options.one_tool_call) {}

std::string StreamedAnthropicAnswer::Take(const v1::GenerateResponse& event) {
  if (event.has_prompt_progress())
    return Begin(event.prompt_progress().tokens_total()) + NamedEvent({{"type", "ping"}});
  // `message_start` says how long the prompt is, which is not known yet.
  if (IsProgress(event)) return ServerSentProgress(event);
  if (!event.has_token() && !event.has_finished()) return {};
  std::string events = Begin(event.finished().usage().prompt_tokens());
  const TurnReader::Text text = reader_.Take(event);
  if (!text.text.empty() && (shows_thoughts_ || !text.is_thought)) events += Delta(text);
  if (event.has_finished()) events += End();
  return events;
}

std::string StreamedAnthropicAnswer::Fail(const ApiError& error) {
  return ServerSentError(error, ApiDialect::kAnthropic);
}

std::string StreamedAnthropicAnswer::Begin(uint32_t n_prompt) {
  if (std::exchange(has_begun_, true)) return {};
  return NamedEvent({{"type", "message_start"},
                     {"message", Message(head_, Json::array(), nullptr, nullptr,
                                         UsageOf(n_prompt, /*n_cached=*/0, /*n_output=*/0))}});
}

std::string StreamedAnthropicAnswer::Delta(const TurnReader::Text& text) {
  const Block wanted = text.is_thought ? Block::kThinking : Block::kText;
  const char* const name = text.is_thought ? "thinking" : "text";
  std::string events;
  if (block_ != wanted) {
    events = CloseBlock();
    Json block = {{"type", name}, {name, ""}};
    if (text.is_thought) block["signature"] = "";
    events += BlockStart(n_blocks_++, std::move(block));
    block_ = wanted;
  }
  return events +
         BlockDelta(n_blocks_ - 1, {{"type", std::string(name) + "_delta"}, {name, text.text}});
}

std::string StreamedAnthropicAnswer::CloseBlock() {
  const Block block = std::exchange(block_, Block::kNone);
  if (block == Block::kNone) return {};
  std::string events;
  if (block == Block::kThinking)
    events = BlockDelta(n_blocks_ - 1, {{"type", "signature_delta"}, {"signature", kSignature}});
  return events + BlockStop(n_blocks_ - 1);
}

std::string StreamedAnthropicAnswer::Call(const v1::ToolCall& call) {
  const int index = n_blocks_++;
  return BlockStart(index, CallBlock(call, Json::object())) +
         BlockDelta(index,
                    {{"type", "input_json_delta"}, {"partial_json", call.arguments_json()}}) +
         BlockStop(index);
}

std::string StreamedAnthropicAnswer::End() {
  const Finished& finished = reader_.finished();
  std::string events = CloseBlock();
  for (const v1::ToolCall& call : finished.tool_calls()) events += Call(call);
  events += NamedEvent(
      {{"type", "message_delta"},
       {"delta",
        {{"stop_reason", StopReason(finished)}, {"stop_sequence", StopSequence(finished)}}},
       {"usage", UsageOf(finished.usage())}});
  return events + NamedEvent({{"type", "message_stop"}});
}

}  // namespace forge::gateway
