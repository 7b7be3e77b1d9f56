#pragma once

#include <memory>
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
// Picks one of the built-in templates (ChatML, Llama 2, Llama 3, Mistral, Zephyr) by the markers in
// the file's own template or, where the file has none, refuses; a template is data of a hostile
// file and is never executed. Thread-safe: immutable.
class ChatTemplate {
 public:
  // kFailedPrecondition (reason CHAT_TEMPLATE_UNSUPPORTED) if the file has no template, or one that
  // matches none of the built-in ones; the message says that `text` or token ids still work.
  static Result<ChatTemplate> Create(const GgufMetadata& metadata);

  // The name of the built-in template: "chatml".
  std::string_view name() const;

  // The prompt for the model's next turn; special tokens appear as text, to be parsed by
  // Tokenizer::Encode with parse_special. kInvalidArgument for an unknown role or an order of roles
  // that the template cannot express.
  Result<std::string> Render(const std::vector<ChatMessage>& messages,
                             bool add_generation_prompt) const;

  // Renders only what follows an answer that is in the cache already, up to and including the
  // generation prompt: closes the assistant's turn (unless `turn_closed`: its end-of-turn token was
  // generated and cached) and adds the new messages.
  Result<std::string> RenderContinuation(const std::vector<ChatMessage>& messages,
                                         bool turn_closed) const;

 private:
  struct Builtin;
  explicit ChatTemplate(const Builtin* builtin) : builtin_(builtin) {}
  const Builtin* builtin_;
};

}  // namespace forge
