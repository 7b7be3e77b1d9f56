#include "gateway/translate/conversation_writer.h"

#include <utility>

namespace forge::gateway {

namespace {

// Texts that were apart stay so.
void AddLine(const std::string& text, std::string& content) {
  const bool is_apart =
      content.empty() || text.empty() || content.back() == '\n' || text.front() == '\n';
  if (!is_apart) content += '\n';
  content += text;
}

}  // namespace

void ConversationWriter::AddSystem(const std::string& text) {
  const bool is_first = chat_.messages().empty() || EndsWith("system");
  if (is_first) return AddLine(text, *MessageOf("system").mutable_content());
  // The tags that Claude Code puts around such a text itself where it is told in the user's.
  AddUser("<system-reminder>\n" + text + "\n</system-reminder>");
}

void ConversationWriter::AddUser(const std::string& text) {
  AddLine(text, *MessageOf("user").mutable_content());
}

// As the daemon joined the pieces of its answer, so that the next prompt begins as this one.
void ConversationWriter::AddAnswer(const std::string& text) {
  MessageOf("assistant").mutable_content()->append(text);
}

void ConversationWriter::AddThought(const std::string& text) {
  MessageOf("assistant").mutable_reasoning()->append(text);
}

void ConversationWriter::AddCall(v1::ToolCall call) {
  calls_.Add(call);
  *MessageOf("assistant").add_tool_calls() = std::move(call);
}

void ConversationWriter::AddResult(const std::string& call_id, const std::string& text) {
  v1::ChatMessage& message = *chat_.add_messages();
  message.set_role("tool");
  message.set_content(text);
  message.set_tool_call_id(call_id);
  message.set_name(calls_.Find(call_id));
}

bool ConversationWriter::EndsWith(const char* role) const {
  return !chat_.messages().empty() && chat_.messages().rbegin()->role() == role;
}

v1::ChatMessage& ConversationWriter::MessageOf(const char* role) {
  if (EndsWith(role)) return *chat_.mutable_messages()->rbegin();
  v1::ChatMessage& message = *chat_.add_messages();
  message.set_role(role);
  return message;
}

}  // namespace forge::gateway
