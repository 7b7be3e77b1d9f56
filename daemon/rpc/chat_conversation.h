#pragma once

#include <forge/v1/forge.pb.h>

#include <optional>
#include <string>

#include "daemon/residency/load_job.h"
#include "engine/runtime/engine.h"

namespace forge {

// The messages of one Generate stream, which its chat turns are rendered from. Thread-compatible.
class ChatConversation {
 public:
  // The conversation with the messages of a turn at its end; what the turn leaves out (tools,
  // template options) stays as it was. kInvalidArgument (reason INVALID_REQUEST) naming the field
  // for what is missing, unknown or past a limit; `field` is that of the turn. Nothing changes.
  Result<Conversation> With(const v1::ChatMessages& turn, const std::string& field) const;

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

// Engine::RenderChat, which tools are refused for (kFailedPrecondition, reason
// CHAT_TOOLS_UNSUPPORTED) where the model would never see them.
Result<ChatPrompt> RenderChat(const Engine& engine, const ModelSnapshot& model,
                              const Conversation& conversation, std::optional<ChatPlace> place);

}  // namespace forge
