#pragma once

#include <forge/v1/forge.pb.h>

#include "engine/runtime/engine.h"

namespace forge {

// The messages of one Generate stream, which its chat turns are rendered from. Thread-compatible.
class ChatConversation {
 public:
  // The conversation with the messages of a turn at its end; what the turn leaves out (tools,
  // template options) stays as it was. kInvalidArgument (reason INVALID_REQUEST) naming the field
  // for what is missing, unknown or past a limit. Nothing changes.
  Result<Conversation> With(const v1::ChatMessages& turn) const;

  // A turn of With() runs: the conversation is that now.
  void Accept(Conversation conversation) { conversation_ = std::move(conversation); }
  // The answer to it is whole.
  void AddAnswer(const ChatAnswer& answer);
  // The session holds something that is no chat: later chat turns go behind it.
  void Forget();

  // False where the session holds more than these messages.
  bool is_whole() const { return is_whole_; }

 private:
  Conversation conversation_;
  bool is_whole_ = true;
};

}  // namespace forge
