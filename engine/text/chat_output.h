#pragma once

#include <cstdint>
#include <deque>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/text/chat_messages.h"
#include "engine/text/tool_format.h"

namespace forge {

// What a part of an answer is.
enum class TextKind : uint8_t { kContent, kReasoning, kToolCall };

// Pairs of a tool's name and that of a parameter whose schema says that it is a string.
using StringParameters = std::set<std::pair<std::string, std::string>>;

struct ChatOutputOptions {
  // The marker that the prompt ends with, so that the answer starts with reasoning: <think>,
  // <seed:think> or <|START_THINKING|>. Empty: none. Outlives the options.
  std::string_view open_thinking = {};
  // The answer is a row of messages with headers, gpt-oss's harmony format; the prompt ends with
  // <|start|>assistant.
  bool has_channels = false;
  ToolFormat tool_format = ToolFormat::kNone;
  uint32_t n_earlier_calls = 0;      // in the conversation: ids of calls go on from there
  std::vector<ChatTool> tools = {};  // that may be called
  // For the formats that write strings without quotes.
  StringParameters string_parameters = {};
};

// The marker of reasoning that a prompt ends with, white space aside; empty if with none.
std::string_view FindOpenThinking(std::string_view prompt);

struct TextPiece {
  TextKind kind = TextKind::kContent;
  std::string text;
};

// Tells what a model thinks, says and calls apart in the stream of its answer.
//
// Reasoning is what stands between <think> and </think>, <seed:think> and </seed:think>,
// <|START_THINKING|> and <|END_THINKING|>, or <|channel>thought and <channel|> at the start of an
// answer; the markers and the line breaks beside them are dropped. A tool call that is complete and
// well-formed becomes structured and its text is of kind kToolCall; anything else stays content,
// byte for byte. Text that may still become a marker or a call is held back. Not thread-safe.
//
// With channels an answer is <|channel|>NAME to=RECIPIENT<|message|>TEXT<|end|>, then
// <|start|>assistant and the same again. What the channel `analysis` holds is reasoning, a message
// to functions.NAME whose text is an object is a call, and all others are content; headers are
// dropped, and two messages of one kind have a line break between them.
class ChatOutputParser {
 public:
  explicit ChatOutputParser(const ChatOutputOptions& options);

  void Add(std::string_view text);
  // The answer is at its end: nothing is held back any more.
  void Finish();

  // The first piece that is decided, with everything of its kind that follows; empty if there is
  // none. `rest`: all that is decided, as one piece of the last kind.
  TextPiece Take();
  TextPiece TakeRest();

  // A call is being written, behind a marker that says so.
  bool in_call() const {
    return (state_ == State::kCall && !marker_.empty()) ||
           (state_ == State::kMessage && message_kind_ == TextKind::kToolCall);
  }
  // REQUIRES: in_call(). What stands behind the marker; with channels the name of the function and
  // a line break before it.
  std::string CallText() const;

  // What was taken or can be, by kind.
  const std::string& content() const { return content_; }
  const std::string& reasoning() const { return reasoning_; }
  const std::vector<ToolCall>& tool_calls() const { return tool_calls_; }

  // True for the markers that may be control tokens, whose text a decoder leaves out.
  static bool IsMarker(std::string_view token);

 private:
  enum class State : uint8_t {
    kStart,           // nothing but white space was there
    kReasoning,       // between the markers
    kAfterReasoning,  // only line breaks since
    kContent,
    kCall,       // after the marker of a call
    kAfterCall,  // only white space since
    kPlain,      // no markers are looked for any more
    kHeader,     // with channels: up to <|message|>
    kMessage,    // the text of a message
    kAfterMessage,
  };

  // Each looks at held_ and returns whether it got any further.
  bool Step();
  bool StepStart();
  bool StepReasoning();
  bool StepAfterReasoning();
  bool StepContent();
  bool StepCall();
  bool StepAfterCall();

  bool StepHeader();
  bool StepMessage();
  bool StepAfterMessage();
  // The header that stands in held_[0, size) is that of the message that follows.
  void BeginMessage(size_t size);
  // The message is held_[0, size).
  void EndMessage(size_t size);
  void FinishMessage();

  void Emit(TextKind kind, std::string_view text);
  // Emits the first `size` bytes of held_ and drops them.
  void EmitHeld(TextKind kind, size_t size);
  // What follows in held_ is a call, which `marker` opened; empty: none did.
  void BeginCall(std::string_view marker);
  // Reads the call in held_, or gives it out as content.
  void EndCall(size_t body_size, size_t end_size);
  bool AddCalls(std::string_view text);
  void AddCall(ToolCall call);
  // Constant after construction.
  const ChatOutputOptions options_;
  const CallMarkers call_;

  State state_;
  std::string held_;
  std::string space_;   // before a call, or since the last: content only if more content follows
  std::string marker_;  // that opened the call
  std::string_view end_think_;  // that ends the reasoning
  size_t n_searched_ = 0;       // bytes of held_ before which the call does not end
  bool has_content_ = false;
  TextKind message_kind_ = TextKind::kContent;
  std::string function_;  // that the message calls
  std::deque<TextPiece> pieces_;
  std::string content_, reasoning_;
  std::vector<ToolCall> tool_calls_;
};

}  // namespace forge
