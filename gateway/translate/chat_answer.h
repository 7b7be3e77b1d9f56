#pragma once

#include <optional>
#include <string>

#include "gateway/translate/answer.h"
#include "gateway/translate/turn_reader.h"

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
  const AnswerHead head_;
  const bool has_logprobs_;
  TurnReader reader_;
  std::string content_;
  std::string reasoning_;
  Json logprobs_ = Json::array();
};

// Objects "chat.completion.chunk". The stream begins when the prompt is being computed.
class StreamedChatAnswer final : public StreamedAnswer {
 public:
  StreamedChatAnswer(AnswerHead head, ChatAnswerOptions options);

  std::string Take(const v1::GenerateResponse& event) override;

 private:
  // With its `delta`.
  std::string Chunk(Json delta, const Json& logprobs, const char* finish_reason) const;
  std::string TextChunk(const TurnReader::Text& text, const Json& logprobs) const;
  // The chunk that names the role, unless it was told.
  std::string Begin();
  std::string End() const;

  const AnswerHead head_;
  const ChatAnswerOptions options_;
  TurnReader reader_;
  bool has_begun_ = false;
};

}  // namespace forge::gateway
