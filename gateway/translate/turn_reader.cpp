#include "gateway/translate/turn_reader.h"

#include <utility>

namespace forge::gateway {

TurnReader::TurnReader(std::optional<ForcedCall> forced_call, bool one_tool_call)
    : forced_call_(std::move(forced_call)), one_tool_call_(one_tool_call) {}

TurnReader::Text TurnReader::Take(const v1::GenerateResponse& event) {
  if (event.has_token()) return TakeToken(event.token());
  if (event.has_finished()) return TakeFinished(event.finished());
  return {};
}

TurnReader::Text TurnReader::TakeToken(const v1::GenerateResponse::Token& token) {
  const bool is_thought = token.kind() == v1::TEXT_KIND_REASONING;
  if (is_thought) ++n_reasoning_;
  // The text of a tool's call comes structured, with the end.
  if (token.kind() == v1::TEXT_KIND_TOOL_CALL) return {};
  if (is_thought || !forced_call_) return {is_thought, token.text()};
  held_ += token.text();
  return {};
}

TurnReader::Text TurnReader::TakeFinished(const v1::GenerateResponse::Finished& finished) {
  finished_ = finished;
  Text last = {finished.kind() == v1::TEXT_KIND_REASONING, {}};
  if (finished.kind() != v1::TEXT_KIND_TOOL_CALL) last.text = finished.text();
  if (forced_call_) {
    last.text = std::exchange(held_, {}) + last.text;
    TakeForcedCall(*forced_call_, last.text, finished_);
  }
  const int n_calls = finished_.tool_calls_size();
  if (one_tool_call_ && n_calls > 1) finished_.mutable_tool_calls()->DeleteSubrange(1, n_calls - 1);
  return last;
}

}  // namespace forge::gateway
