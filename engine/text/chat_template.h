#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/gguf/gguf_metadata.h"
#include "kernels/base/result.h"

namespace forge {

struct ChatMessage {
  std::string role;  // "system", "user" or "assistant"
  std::string content;
};

// Renders a conversation as the prompt text that a model was trained on.
//
// Picks one of the built-in templates (ChatML, Llama 2, Llama 3, Mistral, Zephyr) by what the
// file's own template does; a template that is none of these, or the lack of one, is refused,
// because a wrong prompt is worse than none. A template is data of a hostile file and is never
// executed. Thread-safe: immutable.
class ChatTemplate {
 public:
  struct Builtin;  // private to engine/text: chat_builtin.h

  // Says what the day is, for templates that tell the model.
  using Today = std::chrono::year_month_day (*)();
  // The day by the local time zone.
  static std::chrono::year_month_day LocalToday();

  // kFailedPrecondition (reason CHAT_TEMPLATE_UNSUPPORTED) if the file has no template, or one that
  // matches none of the built-in ones; the message says that `text` or token ids still work.
  // kInvalidArgument (reason MODEL_FILE_INVALID) if a key it reads is malformed.
  static Result<ChatTemplate> Create(const GgufMetadata& metadata, Today today = LocalToday);

  // The name of the built-in template: "chatml".
  std::string_view name() const;

  // The prompt for the model's next turn; special tokens appear as text, to be parsed by
  // Tokenizer::Encode with parse_special. kInvalidArgument for no message, an unknown role or an
  // order of roles that the template cannot express.
  Result<std::string> Render(const std::vector<ChatMessage>& messages,
                             bool add_generation_prompt) const;

  // Renders only what follows an answer that is in the cache already, up to and including the
  // generation prompt: closes the assistant's turn (unless `turn_closed`: its end-of-turn token was
  // generated and cached) and adds the new messages. Fails as Render does.
  Result<std::string> RenderContinuation(const std::vector<ChatMessage>& messages,
                                         bool turn_closed) const;

 private:
  explicit ChatTemplate(const Builtin* builtin) : builtin_(builtin) {}

  Status CheckRoles(const std::vector<ChatMessage>& messages, bool starts_conversation) const;
  // Copies `text` with the placeholders of Builtin replaced.
  void AppendFixed(std::string_view text, std::string& prompt) const;
  void AppendContent(std::string_view content, std::string& prompt) const;
  void AppendMessage(const ChatMessage& message, std::string_view before_content,
                     std::string& prompt) const;
  // Puts a system message that opens the conversation where it is a part of what comes first.
  void AppendOpening(const std::optional<std::string>& system, std::string& prompt) const;
  // Appends the messages from `begin` on; `system` goes into one of them.
  void AppendMessages(const std::vector<ChatMessage>& messages, size_t begin,
                      const std::optional<std::string>& system, std::string& prompt) const;

  // Constant after construction.
  const Builtin* builtin_;
  std::string bos_;  // the texts of the tokens; empty where the vocabulary has none
  std::string eos_;
  bool writes_bos_ = false;
  std::optional<std::string> default_system_;
  std::string fixed_date_;  // empty: what today_ says
  Today today_ = LocalToday;
};

}  // namespace forge
