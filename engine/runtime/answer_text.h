#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/runtime/engine.h"
#include "engine/runtime/stop_matcher.h"
#include "engine/text/chat_output.h"
#include "engine/text/tokenizer.h"

namespace forge {

// Turns the tokens of an answer into its text: whole characters, cut before a stop string, and in a
// chat told apart by kind. Not thread-safe. Lifetime: the tokenizer must outlive it.
class AnswerText {
 public:
  // `chat`: how to read the answer to a chat; nullopt: all of it is content.
  AnswerText(const Tokenizer& tokenizer, const std::vector<std::string>& stop_strings,
             const std::optional<ChatOutputOptions>& chat);

  // What became certain with this token, of one kind; what else did comes with the next call.
  TextPiece Add(TokenId token);
  // True once a stop string was found.
  bool is_stopped() const { return stop_matcher_.found(); }
  // That; empty: none.
  const std::string& stop_string() const { return stop_matcher_.found_string(); }
  // What is left at the end, as one piece.
  TextPiece Finish();

  // A call of a tool is being written, behind a marker that says so.
  bool in_call() const { return parser_ && parser_->in_call(); }
  // REQUIRES: in_call(). See ChatOutputParser; nullopt while a part of the answer is held back.
  std::optional<std::string> CallText() const;

  bool is_chat() const { return parser_.has_value(); }
  bool has_tool_calls() const { return parser_ && !parser_->tool_calls().empty(); }
  // REQUIRES: is_chat(), after Finish().
  ChatAnswer Answer() const;

 private:
  const Tokenizer& tokenizer_;
  StreamDecoder decoder_;
  StopMatcher stop_matcher_;
  std::optional<ChatOutputParser> parser_;
};

}  // namespace forge
