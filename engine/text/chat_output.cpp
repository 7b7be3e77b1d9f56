#include "engine/text/chat_output.h"

#include <algorithm>
#include <utility>

#include "engine/text/chat_markers.h"
#include "engine/text/tool_call_json.h"

namespace forge {
namespace {

// The last is Gemma 4's, whose begin is a control token and a word.
constexpr std::string_view kThoughtChannel = "<|channel>";
constexpr CallMarkers kThinking[] = {{"<think>", "</think>"},
                                     {"<seed:think>", "</seed:think>"},
                                     {"<|START_THINKING|>", "<|END_THINKING|>"},
                                     {"<|channel>thought", "<channel|>"}};
// With a budget of zero Seed's template opens the reasoning and its first remark at once.
constexpr std::string_view kSeedRemark = "<seed:cot_budget_reflect>";

constexpr std::string_view kSpace = " \t\r\n";
constexpr size_t kMaxSpaceBytes = 4096;  // held back; bounds what looking at it again costs

// Where the trailing characters of `set` in text[0, end) begin.
size_t TrimEnd(std::string_view text, size_t end, std::string_view set) {
  const size_t last = text.substr(0, end).find_last_not_of(set);
  return last == std::string_view::npos ? 0 : last + 1;
}

}  // namespace

std::string_view FindOpenThinking(std::string_view prompt) {
  prompt = prompt.substr(0, prompt.find_last_not_of(kSpace) + 1);
  if (prompt.ends_with(kSeedRemark)) prompt.remove_suffix(kSeedRemark.size());
  for (const CallMarkers& thinking : kThinking)
    if (prompt.ends_with(thinking.begin)) return thinking.begin;
  return {};
}

ChatOutputParser::ChatOutputParser(const ChatOutputOptions& options)
    : options_(options),
      call_(FindCallMarkers(options.tool_format)),
      state_(options.open_thinking.empty() ? State::kStart : State::kReasoning) {
  for (const CallMarkers& thinking : kThinking)
    if (thinking.begin == options.open_thinking) end_think_ = thinking.end;
  if (options.has_channels) state_ = State::kHeader;
}

bool ChatOutputParser::IsMarker(std::string_view token) {
  for (const CallMarkers& thinking : kThinking)
    if (token == thinking.begin || token == thinking.end) return true;
  return token == kThoughtChannel || IsCallMarker(token) || IsChannelMarker(token);
}

std::string ChatOutputParser::CallText() const {
  return options_.has_channels ? function_ + "\n" + held_ : held_;
}

void ChatOutputParser::Add(std::string_view text) {
  held_ += text;
  while (!held_.empty() && Step()) {
  }
}

bool ChatOutputParser::Step() {
  switch (state_) {
    case State::kStart:
      return StepStart();
    case State::kReasoning:
      return StepReasoning();
    case State::kAfterReasoning:
      return StepAfterReasoning();
    case State::kContent:
      return StepContent();
    case State::kCall:
      return StepCall();
    case State::kAfterCall:
      return StepAfterCall();
    case State::kHeader:
      return StepHeader();
    case State::kMessage:
      return StepMessage();
    case State::kAfterMessage:
      return StepAfterMessage();
    case State::kPlain:
      break;
  }
  EmitHeld(TextKind::kContent, held_.size());
  return false;
}

void ChatOutputParser::Emit(TextKind kind, std::string_view text) {
  if (text.empty()) return;
  if (kind == TextKind::kContent) {
    has_content_ = true;
    content_ += text;
  }
  if (kind == TextKind::kReasoning) reasoning_ += text;
  if (pieces_.empty() || pieces_.back().kind != kind) pieces_.push_back({kind, {}});
  pieces_.back().text += text;
}

void ChatOutputParser::EmitHeld(TextKind kind, size_t size) {
  Emit(kind, std::string_view(held_).substr(0, size));
  held_.erase(0, size);
}

bool ChatOutputParser::StepStart() {
  const size_t begin = held_.find_first_not_of(kSpace);
  if (begin == std::string::npos) {
    if (held_.size() > kMaxSpaceBytes) state_ = State::kContent;
    return state_ != State::kStart;
  }
  const std::string_view text = std::string_view(held_).substr(begin);
  for (const CallMarkers& think : kThinking) {
    if (text.starts_with(think.begin)) {
      held_.erase(0, begin + think.begin.size());
      end_think_ = think.end;
      state_ = State::kReasoning;
      return true;
    }
    if (think.begin.starts_with(text)) return false;
  }
  state_ = State::kContent;
  return true;
}

bool ChatOutputParser::StepReasoning() {
  if (reasoning_.empty()) held_.erase(0, std::min(held_.find_first_not_of('\n'), held_.size()));
  const size_t end = held_.find(end_think_);
  if (end == std::string::npos) {
    const size_t safe = held_.size() - PartialMarker(held_, end_think_);
    const size_t text_end = TrimEnd(held_, safe, "\n");
    EmitHeld(TextKind::kReasoning, safe - text_end > kMaxSpaceBytes ? safe : text_end);
    return false;
  }
  const size_t text_end = TrimEnd(held_, end, "\n");
  const size_t dropped = end - text_end + end_think_.size();
  EmitHeld(TextKind::kReasoning, text_end);
  held_.erase(0, dropped);
  state_ = State::kAfterReasoning;
  return true;
}

bool ChatOutputParser::StepAfterReasoning() {
  held_.erase(0, std::min(held_.find_first_not_of('\n'), held_.size()));
  if (held_.empty()) return false;
  state_ = State::kContent;
  return true;
}

bool ChatOutputParser::StepContent() {
  const std::string_view marker = call_.begin;
  if (marker.empty()) {
    state_ = State::kPlain;
    return true;
  }
  const size_t begin = held_.find(marker);
  if (begin != std::string::npos) {
    const size_t text_end = TrimEnd(held_, begin, kSpace);
    space_ = held_.substr(text_end, begin - text_end);
    EmitHeld(TextKind::kContent, text_end);
    held_.erase(0, space_.size() + marker.size());
    BeginCall(marker);
    return true;
  }
  // Llama 3 answers with the bare object.
  if (options_.tool_format == ToolFormat::kLlama3 && !has_content_) {
    const size_t first = held_.find_first_not_of(kSpace);
    if (first == std::string::npos && held_.size() <= kMaxSpaceBytes) return false;
    if (first != std::string::npos && held_[first] == '{') {
      space_ = held_.substr(0, first);
      held_.erase(0, first);
      BeginCall({});
      return true;
    }
  }
  const size_t safe = held_.size() - PartialMarker(held_, marker);
  const size_t text_end = TrimEnd(held_, safe, kSpace);
  EmitHeld(TextKind::kContent, safe - text_end > kMaxSpaceBytes ? safe : text_end);
  return false;
}

void ChatOutputParser::BeginCall(std::string_view marker) {
  marker_ = marker;
  n_searched_ = 0;
  state_ = State::kCall;
}

bool ChatOutputParser::StepCall() {
  if (const std::string_view marker = call_.end; !marker.empty()) {
    // A call is long, and comes a few bytes at a time.
    const size_t end = held_.find(marker, n_searched_);
    n_searched_ = held_.size() - std::min(held_.size(), marker.size() - 1);
    if (end != std::string::npos) {
      EndCall(end, marker.size());
      return true;
    }
  }
  if (held_.size() <= kMaxCallBytes) return false;
  state_ = State::kPlain;
  Emit(TextKind::kContent, std::exchange(space_, {}) + marker_);
  return true;
}

void ChatOutputParser::EndCall(size_t body_size, size_t end_size) {
  const std::string body = held_.substr(0, body_size);
  const std::string text = marker_ + held_.substr(0, body_size + end_size);
  held_.erase(0, body_size + end_size);
  if (AddCalls(body)) {
    space_.clear();
    Emit(TextKind::kToolCall, text);
    state_ = State::kAfterCall;
  } else {
    Emit(TextKind::kContent, std::exchange(space_, {}) + text);
    state_ = State::kContent;
  }
}

bool ChatOutputParser::StepAfterCall() {
  const size_t begin = std::min(held_.find_first_not_of(kSpace), held_.size());
  space_ += held_.substr(0, begin);
  held_.erase(0, begin);
  if (held_.empty()) return false;
  // The next call may follow; only other text needs the space.
  const std::string_view marker = call_.begin;
  if (held_.starts_with(marker)) {
    held_.erase(0, marker.size());
    BeginCall(marker);
    return true;
  }
  if (marker.starts_with(held_)) return false;
  Emit(TextKind::kContent, std::exchange(space_, {}));
  state_ = State::kContent;
  return true;
}

bool ChatOutputParser::AddCalls(std::string_view text) {
  std::optional<std::vector<ToolCall>> calls =
      ReadToolCalls(text, options_.tool_format, options_.string_parameters);
  if (!calls) return false;
  for (ToolCall& call : *calls) AddCall(std::move(call));
  return true;
}

void ChatOutputParser::AddCall(ToolCall call) {
  if (call.id.empty()) {
    // Nine characters, as Mistral's templates demand.
    std::string number = std::to_string(options_.n_earlier_calls + tool_calls_.size() + 1);
    if (number.size() < 5) number.insert(0, 5 - number.size(), '0');
    call.id = "call" + number;
  }
  tool_calls_.push_back(std::move(call));
}

void ChatOutputParser::Finish() {
  if (options_.has_channels) FinishMessage();
  if (state_ == State::kCall) {
    const bool may_be_open = call_.end.empty() || !held_.empty();
    if (may_be_open) EndCall(held_.size(), 0);
    while (!held_.empty() && Step()) {
    }
  }
  // A part of a marker that never came. Reasoning that never ended stays reasoning.
  if (state_ == State::kReasoning) {
    held_.erase(TrimEnd(held_, held_.size(), "\n"));
    EmitHeld(TextKind::kReasoning, held_.size());
  } else if (state_ == State::kCall) {
    Emit(TextKind::kContent, std::exchange(space_, {}) + marker_);
  } else if (state_ == State::kAfterCall && !held_.empty()) {
    Emit(TextKind::kContent, std::exchange(space_, {}));
  }
  if (state_ != State::kAfterReasoning) EmitHeld(TextKind::kContent, held_.size());
  held_.clear();
}

TextPiece ChatOutputParser::Take() {
  if (pieces_.empty()) return TextPiece();
  TextPiece piece = std::move(pieces_.front());
  pieces_.pop_front();
  return piece;
}

TextPiece ChatOutputParser::TakeRest() {
  TextPiece rest;
  while (!pieces_.empty()) {
    TextPiece piece = Take();
    rest.kind = piece.kind;
    rest.text += piece.text;
  }
  return rest;
}

}  // namespace forge
