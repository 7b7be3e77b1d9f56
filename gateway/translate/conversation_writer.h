#pragma once

#include <forge/v1/forge.pb.h>

#include <string>

#include "gateway/translate/call_names.h"

namespace forge::gateway {

// Makes messages of the parts of a conversation, in the order in which they were said.
//
// Templates want one message of the system, at the beginning, and then the user's and the
// assistant's by turns. APIs cut a conversation in other ways: what one side says in a row becomes
// one message here. Not thread-safe. Lifetime: `chat` must outlive it.
class ConversationWriter {
 public:
  explicit ConversationWriter(v1::ChatMessages& chat) : chat_(chat) {}

  // An instruction to the model. Before all else it belongs to the message of the system. Later
  // many templates refuse one, and in the first message it would change the beginning of the
  // prompt, which then had to be computed anew: it is told in the user's message, between tags.
  void AddSystem(const std::string& text);
  void AddUser(const std::string& text);
  // What the assistant said, thought and called.
  void AddAnswer(const std::string& text);
  void AddThought(const std::string& text);
  void AddCall(v1::ToolCall call);
  void AddResult(const std::string& call_id, const std::string& text);

  bool ends_with_answer() const { return EndsWith("assistant"); }

 private:
  bool EndsWith(const char* role) const;
  // The last message where it is of `role`, else a new one.
  v1::ChatMessage& MessageOf(const char* role);

  v1::ChatMessages& chat_;
  CallNames calls_;
};

}  // namespace forge::gateway
