#pragma once

#include <optional>
#include <string>

#include "gateway/translate/answer.h"
#include "gateway/translate/turn_reader.h"

namespace forge::gateway {

// What an answer of Anthropic's API consists of apart from its texts.
struct AnthropicAnswerOptions {
  bool shows_thoughts = true;
  bool one_tool_call = false;
  std::optional<ForcedCall> forced_call = {};  // what the content is then
};

// An object "message".
class WholeAnthropicAnswer final : public WholeAnswer {
 public:
  WholeAnthropicAnswer(AnswerHead head, const AnthropicAnswerOptions& options);

  void Take(const v1::GenerateResponse& event) override;
  Json ToJson() const override;

 private:
  const AnswerHead head_;
  const bool shows_thoughts_;
  TurnReader reader_;
  std::string thought_;
  std::string text_;
};

// Events "message_start" to "message_stop", with blocks of content between them. The stream begins
// when the prompt is being computed, and a "ping" tells each step of that: clients take a long
// silence for a lost connection.
class StreamedAnthropicAnswer final : public StreamedAnswer {
 public:
  StreamedAnthropicAnswer(AnswerHead head, const AnthropicAnswerOptions& options);

  std::string Take(const v1::GenerateResponse& event) override;
  std::string Fail(const ApiError& error) override;

 private:
  enum class Block { kNone, kThinking, kText };

  // The beginning, unless it was told. `n_prompt`: tokens, as far as they are known.
  std::string Begin(uint32_t n_prompt);
  // Of a text, in a block of its kind.
  std::string Delta(const TurnReader::Text& text);
  std::string CloseBlock();
  std::string Call(const v1::ToolCall& call);
  std::string End();

  const AnswerHead head_;
  const bool shows_thoughts_;
  TurnReader reader_;
  bool has_begun_ = false;
  Block block_ = Block::kNone;  // that is open
  int n_blocks_ = 0;            // those that were opened
};

}  // namespace forge::gateway
