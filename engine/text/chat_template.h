#pragma once

#include <ctime>
#include <string>
#include <string_view>

#include "engine/gguf/gguf_metadata.h"
#include "engine/text/chat_messages.h"
#include "engine/text/chat_output.h"
#include "engine/text/jinja/template.h"
#include "kernels/base/result.h"

namespace forge {

// Renders a conversation as the prompt text that a model was trained on, by the file's own
// template, or by a built-in one where the file has none.
//
// A template is part of a hostile file: rendering is bounded, and reads nothing but the
// conversation. Thread-safe: immutable.
class ChatTemplate {
 public:
  // How a template takes the calls of earlier answers: as a list with dicts for arguments, but for
  // what is set here.
  struct CallStyle {
    bool are_in_content = false;      // it reads no calls: they are part of the content
    bool arguments_are_text = false;  // it joins them with other texts
    bool no_content_is_none = false;  // it tells calls by a content that is none
  };
  // Says what time it is, for templates that tell the model.
  using Clock = std::tm (*)();
  // By the local time zone.
  static std::tm LocalTime();

  // kFailedPrecondition (reason CHAT_TEMPLATE_UNSUPPORTED) if the file's template cannot be parsed;
  // the message names the line and says that `text` and token ids still work. kInvalidArgument
  // (reason MODEL_FILE_INVALID) if a key it reads is malformed.
  static Result<ChatTemplate> Create(const GgufMetadata& metadata, Clock clock = LocalTime);

  // For people: "from the file", or "chatml (built-in: the file has none)".
  std::string description() const;
  bool is_fallback() const { return !builtin_name_.empty(); }
  // False if it leaves the tools of a conversation out, whatever they are.
  bool takes_tools() const { return template_.Mentions("tools"); }

  // The prompt for the model's next turn. Special tokens appear as text; what the conversation says
  // is marked as literal, so that it never becomes one. kInvalidArgument naming the field for
  // malformed JSON, or with the template's own message (reason CHAT_TEMPLATE_REFUSED) where it
  // raised; kFailedPrecondition (reason CHAT_TEMPLATE_FAILED) naming the line where it fails.
  Result<jinja::Text> Render(const Conversation& conversation, bool add_generation_prompt) const;

  // How to read an answer to the prompt `rendered`.
  ChatOutputOptions OutputOptions(const Conversation& conversation,
                                  std::string_view rendered) const;

 private:
  explicit ChatTemplate(jinja::Template parsed) : template_(std::move(parsed)) {}

  Result<jinja::Text> Render(const Conversation& conversation, const CallStyle& style,
                             bool add_generation_prompt) const;

  // Constant after construction.
  jinja::Template template_;
  std::string_view builtin_name_;  // empty: the file's own
  std::string bos_, eos_;          // the texts of the tokens; empty where there are none
  std::string unknown_, pad_;
  CallStyle call_style_;
  Clock clock_ = LocalTime;
};

}  // namespace forge
