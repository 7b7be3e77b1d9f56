#include "gateway/translate/responses_answer.h"

#include <algorithm>
#include <utility>

namespace forge::gateway {

WholeResponse::WholeResponse(AnswerHead head, ResponsesAnswerOptions options)
    : head_(std::move(head)),
      options_(std::move(options)),
      reader_(options_.forced_call, options_.one_tool_call) {}

void WholeResponse::Take(const v1::GenerateResponse& event) {
  const TurnReader::Text text = reader_.Take(event);
  (text.is_thought ? thought_ : text_) += text.text;
}

Json WholeResponse::ToJson() const {
  const v1::GenerateResponse::Finished& finished = reader_.finished();
  const char* const status = ResponseStatus(finished);
  Json json = ResponseJson(head_, options_.settings, status);
  Json& output = json["output"];
  const auto next_id = [&](const char* prefix) {
    return ItemId(head_, prefix, static_cast<int>(output.size()));
  };
  if (!thought_.empty())
    output.push_back(
        TextItemJson({true, next_id("rs_"), thought_}, "completed", options_.seals_thoughts));
  if (!text_.empty())
    output.push_back(TextItemJson({false, next_id("msg_"), text_}, status, /*seals=*/false));
  for (const v1::ToolCall& call : finished.tool_calls())
    output.push_back(CallItemJson(call, next_id("fc_"), options_.names, status));
  Finish(finished, reader_.n_reasoning(), json);
  return json;
}

StreamedResponse::StreamedResponse(AnswerHead head, ResponsesAnswerOptions options)
    : head_(std::move(head)),
      options_(std::move(options)),
      reader_(options_.forced_call, options_.one_tool_call) {}

std::string StreamedResponse::Take(const v1::GenerateResponse& event) {
  if (IsProgress(event)) return Progress(event);
  if (!event.has_token() && !event.has_finished()) return {};
  std::string events = Begin();
  const TurnReader::Text text = reader_.Take(event);
  if (!text.text.empty()) events += Delta(text);
  if (event.has_finished()) events += End();
  return events;
}

std::string StreamedResponse::Fail(const ApiError& error) {
  Json response = ResponseJson(head_, options_.settings, "failed");
  response["output"] = output_;
  response["error"] = {{"code", error.code.empty() ? "server_error" : error.code},
                       {"message", error.message}};
  return Event("response.failed", {{"response", std::move(response)}});
}

Json StreamedResponse::InProgress() const {
  return {{"response", ResponseJson(head_, options_.settings, "in_progress")}};
}

std::string StreamedResponse::Event(const std::string& type, const Json& fields) {
  Json json = {{"type", type}, {"sequence_number", n_events_++}};
  json.update(fields);
  return NamedEvent(json);
}

std::string StreamedResponse::ItemEvent(const std::string& type, const Json& fields) {
  Json json = {{"item_id", item_->id}, {"output_index", output_.size()}, {"content_index", 0}};
  json.update(fields);
  return Event(type, json);
}

std::string StreamedResponse::TextEvent(const char* step, const char* field,
                                        const std::string& text) {
  Json json = {{field, text}};
  if (!item_->is_thought) json["logprobs"] = Json::array();
  return ItemEvent((item_->is_thought ? "response.reasoning_text." : "response.output_text.") +
                       std::string(step),
                   json);
}

std::string StreamedResponse::Begin() {
  if (std::exchange(has_begun_, true)) return {};
  const Json fields = InProgress();
  std::string events = Event("response.created", fields);
  return events += Event("response.in_progress", fields);
}

// Not with every step: the event may repeat many tools. Not as a comment: Codex gives up a stream
// that has no event for minutes.
std::string StreamedResponse::Progress(const v1::GenerateResponse& event) {
  const auto tenths = [](uint64_t done, uint64_t total) {
    return 10 * done / std::max<uint64_t>(1, total);
  };
  auto step = std::pair(event.event_case(), uint64_t{event.queued().position()});
  if (event.has_load_progress())
    step.second = tenths(static_cast<uint64_t>(event.load_progress().bytes_done()),
                         static_cast<uint64_t>(event.load_progress().bytes_total()));
  if (event.has_prompt_progress())
    step.second =
        tenths(event.prompt_progress().tokens_done(), event.prompt_progress().tokens_total());
  const bool is_news = std::exchange(told_, step) != step;
  if (!has_begun_) return Begin();
  return is_news ? Event("response.in_progress", InProgress()) : std::string();
}

std::string StreamedResponse::Delta(const TurnReader::Text& text) {
  std::string events;
  if (item_ && item_->is_thought != text.is_thought) events += CloseItem("completed");
  if (!item_) events += OpenItem(text.is_thought);
  item_->text += text.text;
  return events += TextEvent("delta", "delta", text.text);
}

std::string StreamedResponse::OpenItem(bool is_thought) {
  const int index = static_cast<int>(output_.size());
  item_ = TextItem{is_thought, ItemId(head_, is_thought ? "rs_" : "msg_", index), {}};
  std::string events = Event("response.output_item.added",
                             {{"output_index", index}, {"item", EmptyTextItemJson(*item_)}});
  return events += ItemEvent("response.content_part.added", {{"part", TextPart(*item_)}});
}

std::string StreamedResponse::CloseItem(const char* status) {
  if (!item_) return {};
  std::string events = TextEvent("done", "text", item_->text);
  events += ItemEvent("response.content_part.done", {{"part", TextPart(*item_)}});
  Json item = TextItemJson(*item_, status, options_.seals_thoughts);
  events += Event("response.output_item.done", {{"output_index", output_.size()}, {"item", item}});
  output_.push_back(std::move(item));
  item_.reset();
  return events;
}

std::string StreamedResponse::Call(const v1::ToolCall& call) {
  const int index = static_cast<int>(output_.size());
  const Json place = {{"item_id", ItemId(head_, "fc_", index)}, {"output_index", index}};
  Json item =
      CallItemJson(call, place["item_id"], options_.names, ResponseStatus(reader_.finished()));
  Json begun = item;
  begun["status"] = "in_progress";
  begun["arguments"] = "";
  Json delta = place;
  delta["delta"] = call.arguments_json();
  Json done = place;
  done["name"] = item["name"];
  done["arguments"] = call.arguments_json();
  std::string events =
      Event("response.output_item.added", {{"output_index", index}, {"item", begun}});
  events += Event("response.function_call_arguments.delta", delta);
  events += Event("response.function_call_arguments.done", done);
  events += Event("response.output_item.done", {{"output_index", index}, {"item", item}});
  output_.push_back(std::move(item));
  return events;
}

std::string StreamedResponse::End() {
  const v1::GenerateResponse::Finished& finished = reader_.finished();
  const std::string status = ResponseStatus(finished);
  std::string events = CloseItem(item_ && item_->is_thought ? "completed" : status.c_str());
  for (const v1::ToolCall& call : finished.tool_calls()) events += Call(call);
  Json response = ResponseJson(head_, options_.settings, status.c_str());
  response["output"] = output_;
  Finish(finished, reader_.n_reasoning(), response);
  return events += Event("response." + status, {{"response", std::move(response)}});
}

}  // namespace forge::gateway
