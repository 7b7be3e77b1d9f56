// The part of ChatOutputParser that reads answers with channels.
#include <array>
#include <utility>

#include "engine/text/chat_markers.h"
#include "engine/text/chat_output.h"
#include "engine/text/tool_call_json.h"

namespace forge {
namespace {

constexpr std::string_view kChannel = "<|channel|>";
constexpr std::string_view kMessageMarker = "<|message|>";
constexpr std::string_view kStartMarker = "<|start|>";
constexpr std::string_view kEndMarker = "<|end|>";
constexpr std::string_view kConstrain = "<|constrain|>";
constexpr std::string_view kAssistant = "assistant";
constexpr std::string_view kTo = " to=";
constexpr std::string_view kFunctions = "functions.";
constexpr size_t kMaxHeaderBytes = 1024;

constexpr std::array kHeaderStarts = {kChannel, kMessageMarker, kConstrain, kAssistant, kTo};
// What ends a message; a model may forget to.
constexpr std::array kMessageEnds = {kEndMarker, kStartMarker, kChannel};

// True if `text` begins as a header does, as far as it goes.
bool MayBeHeader(std::string_view text) {
  for (const std::string_view start : kHeaderStarts)
    if (text.starts_with(start) || start.starts_with(text)) return true;
  return false;
}

// The first of kMessageEnds at or after `from`; npos if there is none.
size_t FindMessageEnd(std::string_view text, size_t from) {
  for (size_t i = text.find("<|", from); i != text.npos; i = text.find("<|", i + 1))
    for (const std::string_view end : kMessageEnds)
      if (text.substr(i).starts_with(end)) return i;
  return text.npos;
}

size_t PartialMessageEnd(std::string_view text) {
  size_t size = 0;
  for (const std::string_view end : kMessageEnds) size = std::max(size, PartialMarker(text, end));
  return size;
}

// What follows `name` in a header, up to a space or a marker; empty if `name` is not there.
std::string_view HeaderField(std::string_view header, std::string_view name) {
  const size_t begin = header.find(name);
  if (begin == header.npos) return {};
  const std::string_view field = header.substr(begin + name.size());
  return field.substr(0, field.find_first_of(" <"));
}

}  // namespace

bool IsChannelMarker(std::string_view token) {
  for (const std::string_view marker :
       {kChannel, kMessageMarker, kStartMarker, kEndMarker, kConstrain})
    if (token == marker) return true;
  return false;
}

bool ChatOutputParser::StepHeader() {
  const size_t end = held_.find(kMessageMarker);
  if (!MayBeHeader(held_) || std::min(end, held_.size()) > kMaxHeaderBytes) {
    state_ = State::kPlain;
    return true;
  }
  if (end == std::string::npos) return false;
  BeginMessage(end);
  return true;
}

void ChatOutputParser::BeginMessage(size_t size) {
  const std::string_view header = std::string_view(held_).substr(0, size);
  const std::string_view recipient = HeaderField(header, kTo);
  const bool is_call = options_.tool_format == ToolFormat::kGptOss &&
                       recipient.starts_with(kFunctions) && recipient.size() > kFunctions.size();
  function_ = is_call ? recipient.substr(kFunctions.size()) : std::string_view();
  marker_ = std::string(header) + std::string(kMessageMarker);
  if (is_call) {
    message_kind_ = TextKind::kToolCall;
  } else if (!recipient.empty()) {  // a call that nobody here can answer is told as it is
    message_kind_ = TextKind::kContent;
    Emit(TextKind::kContent, marker_);
  } else {
    const bool is_analysis = HeaderField(header, kChannel) == "analysis";
    message_kind_ = is_analysis ? TextKind::kReasoning : TextKind::kContent;
    const std::string& before = is_analysis ? reasoning_ : content_;
    space_ = before.empty() ? "" : "\n";
  }
  held_.erase(0, size + kMessageMarker.size());
  n_searched_ = 0;
  state_ = State::kMessage;
}

bool ChatOutputParser::StepMessage() {
  const size_t end = FindMessageEnd(held_, n_searched_);
  if (end != std::string::npos) {
    EndMessage(end);
    return true;
  }
  const size_t safe = held_.size() - PartialMessageEnd(held_);
  if (message_kind_ == TextKind::kToolCall) {
    // A call is long, and comes a few bytes at a time.
    n_searched_ = safe;
    if (held_.size() <= kMaxCallBytes) return false;
    message_kind_ = TextKind::kContent;
    Emit(TextKind::kContent, marker_);
    return true;
  }
  if (safe > 0) Emit(message_kind_, std::exchange(space_, {}));
  EmitHeld(message_kind_, safe);
  n_searched_ = 0;
  return false;
}

void ChatOutputParser::EndMessage(size_t size) {
  if (message_kind_ == TextKind::kToolCall) {
    const std::string_view arguments = std::string_view(held_).substr(0, size);
    std::optional<std::string> json = ReadArguments(arguments);
    const TextKind kind = json ? TextKind::kToolCall : TextKind::kContent;
    if (json) AddCall({.id = {}, .name = function_, .arguments_json = *std::move(json)});
    Emit(kind, marker_);
    EmitHeld(kind, size);
  } else {
    if (size > 0) Emit(message_kind_, std::exchange(space_, {}));
    EmitHeld(message_kind_, size);
  }
  space_.clear();
  if (held_.starts_with(kEndMarker)) held_.erase(0, kEndMarker.size());
  state_ = State::kAfterMessage;
}

bool ChatOutputParser::StepAfterMessage() {
  if (held_.starts_with(kStartMarker)) {
    held_.erase(0, kStartMarker.size());
    state_ = State::kHeader;
    return true;
  }
  if (kStartMarker.starts_with(held_)) return false;
  state_ = State::kHeader;
  return true;
}

void ChatOutputParser::FinishMessage() {
  while (!held_.empty() && Step()) {
  }
  if (state_ == State::kMessage) EndMessage(held_.size());
  // A header without a message says nothing.
  if (state_ == State::kHeader || state_ == State::kAfterMessage) held_.clear();
}

}  // namespace forge
