#pragma once

#include <optional>
#include <string>
#include <utility>

#include "gateway/translate/answer.h"
#include "gateway/translate/responses_items.h"
#include "gateway/translate/turn_reader.h"

namespace forge::gateway {

// What an answer of the Responses API consists of apart from its texts.
struct ResponsesAnswerOptions {
  bool one_tool_call = false;
  bool seals_thoughts = false;
  std::optional<ForcedCall> forced_call = {};  // what the content is then
  NamespacedNames names = {};
  Json settings = Json::object();  // of the request
};

// An object "response".
class WholeResponse final : public WholeAnswer {
 public:
  WholeResponse(AnswerHead head, ResponsesAnswerOptions options);

  void Take(const v1::GenerateResponse& event) override;
  Json ToJson() const override;

 private:
  const AnswerHead head_;
  const ResponsesAnswerOptions options_;
  TurnReader reader_;
  std::string thought_;
  std::string text_;
};

// Events "response.created" to "response.completed", or "incomplete" or "failed", each with its
// number. The stream begins when the prompt is being computed, and "response.in_progress" is
// repeated with each tenth of it.
class StreamedResponse final : public StreamedAnswer {
 public:
  StreamedResponse(AnswerHead head, ResponsesAnswerOptions options);

  std::string Take(const v1::GenerateResponse& event) override;
  std::string Fail(const ApiError& error) override;

 private:
  // Numbered: whoever joins several does so in a statement each.
  std::string Event(const std::string& type, const Json& fields);
  // The fields of "response.created" and "response.in_progress".
  Json InProgress() const;
  // One of the item that is open.
  std::string ItemEvent(const std::string& type, const Json& fields);
  // "response.output_text.delta" and the like.
  std::string TextEvent(const char* step, const char* field, const std::string& text);

  // The beginning, unless it was told.
  std::string Begin();
  std::string Progress(const v1::GenerateResponse& event);
  std::string Delta(const TurnReader::Text& text);
  std::string OpenItem(bool is_thought);
  std::string CloseItem(const char* status);
  std::string Call(const v1::ToolCall& call);
  std::string End();

  const AnswerHead head_;
  const ResponsesAnswerOptions options_;
  TurnReader reader_;
  int n_events_ = 0;
  bool has_begun_ = false;
  // That was told last: place in the queue, or tenths of the load or of the prompt.
  std::pair<v1::GenerateResponse::EventCase, uint64_t> told_ = {};
  std::optional<TextItem> item_;  // that is open
  Json output_ = Json::array();   // the items that are whole
};

}  // namespace forge::gateway
