#pragma once

#include <optional>
#include <string>

#include "gateway/translate/answer.h"
#include "gateway/translate/chat_request.h"

namespace forge::gateway {

// What an answer to chat consists of apart from its texts. Thoughts go to `reasoning_content`, as
// DeepSeek's API named them and clients look for them.
struct ChatAnswerOptions {
  bool logprobs = false;
  bool one_tool_call = false;
  bool include_usage = false;                  // of a stream
  std::optional<ForcedCall> forced_call = {};  // what the content is then
};

// An object "chat.completion".
class WholeChatAnswer final : public WholeAnswer {
 public:
  WholeChatAnswer(AnswerHead head, ChatAnswerOptions options);

  void Take(const v1::GenerateResponse& event) override;
  Json ToJson() const override;

 private:
  void TakeText(v1::TextKind kind, const std::string& text);

  const AnswerHead head_;
  const ChatAnswerOptions options_;
  std::string content_;
  std::string reasoning_;
  uint32_t n_reasoning_ = 0;
  Json logprobs_ = Json::array();
  v1::GenerateResponse::Finished finished_;
};

// Objects "chat.completion.chunk".
class StreamedChatAnswer final : public StreamedAnswer {
 public:
  StreamedChatAnswer(AnswerHead head, ChatAnswerOptions options);

  std::string Take(const v1::GenerateResponse& event) override;

 private:
  // With its `delta`.
  std::string Chunk(Json delta, const Json& logprobs, const char* finish_reason) const;
  std::string TextChunk(v1::TextKind kind, const std::string& text, const Json& logprobs) const;
  std::string TakeToken(const v1::GenerateResponse::Token& token);
  std::string TakeFinished(v1::GenerateResponse::Finished finished);

  const AnswerHead head_;
  const ChatAnswerOptions options_;
  uint32_t n_reasoning_ = 0;
  bool has_begun_ = false;
  std::string forced_;  // the content so far, of a call that is forced
};

}  // namespace forge::gateway
