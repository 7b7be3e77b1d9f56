#include "daemon/rpc/chat_conversation.h"

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <utility>

#include "daemon/rpc/call_errors.h"

namespace forge {
namespace {

constexpr size_t kMaxMessages = 4096;
constexpr size_t kMaxTools = 256;
constexpr size_t kMaxToolCalls = 256;  // of one message
constexpr size_t kMaxNameBytes = 256;  // of roles, tools and calls
constexpr size_t kMaxConversationBytes = size_t{16} << 20;

Status CheckName(const std::string& field, const std::string& name, bool required) {
  if (required && name.empty()) return BadField(field, "is empty");
  if (name.size() <= kMaxNameBytes) return Status();
  return BadField(field, fmt::format("has {} bytes, more than {}", name.size(), kMaxNameBytes));
}

Status CheckCount(const std::string& field, size_t n, size_t max) {
  if (n <= max) return Status();
  return BadField(field, fmt::format("has {} entries, more than {}", n, max));
}

Result<ChatMessage> MessageFromProto(const v1::ChatMessage& message, const std::string& field) {
  FORGE_TRY(CheckName(field + ".role", message.role(), /*required=*/true));
  FORGE_TRY(CheckName(field + ".tool_call_id", message.tool_call_id(), false));
  FORGE_TRY(CheckName(field + ".name", message.name(), false));
  const auto n_calls = static_cast<size_t>(message.tool_calls_size());
  FORGE_TRY(CheckCount(field + ".tool_calls", n_calls, kMaxToolCalls));
  ChatMessage out{.role = message.role(),
                  .content = message.content(),
                  .tool_call_id = message.tool_call_id(),
                  .name = message.name(),
                  .reasoning = message.reasoning()};
  for (int i = 0; i < message.tool_calls_size(); ++i) {
    const v1::ToolCall& call = message.tool_calls(i);
    const std::string call_field = fmt::format("{}.tool_calls[{}]", field, i);
    FORGE_TRY(CheckName(call_field + ".name", call.name(), /*required=*/true));
    FORGE_TRY(CheckName(call_field + ".id", call.id(), false));
    out.tool_calls.push_back({call.id(), call.name(), call.arguments_json()});
  }
  return out;
}

size_t SizeBytes(const Conversation& conversation) {
  size_t n_bytes = conversation.template_options_json.size();
  for (const ChatMessage& message : conversation.messages) {
    n_bytes += sizeof(message) + message.content.size() + message.reasoning.size();
    for (const ToolCall& call : message.tool_calls)
      n_bytes += sizeof(call) + call.arguments_json.size();
  }
  for (const ChatTool& tool : conversation.tools)
    n_bytes += sizeof(tool) + tool.description.size() + tool.parameters_json.size();
  return n_bytes;
}

}  // namespace

Result<Conversation> ChatConversation::With(const v1::ChatMessages& turn,
                                            const std::string& field) const {
  if (turn.messages().empty()) return BadField(field + ".messages", "is empty");
  FORGE_TRY(CheckCount(field + ".tools", static_cast<size_t>(turn.tools_size()), kMaxTools));
  Conversation next = conversation_;
  if (!is_whole_) next.messages.clear();
  for (int i = 0; i < turn.messages_size(); ++i) {
    FORGE_ASSIGN_OR_RETURN(
        ChatMessage message,
        MessageFromProto(turn.messages(i), fmt::format("{}.messages[{}]", field, i)));
    next.messages.push_back(std::move(message));
  }
  FORGE_TRY(CheckCount(field + ".messages", next.messages.size(), kMaxMessages));
  if (!turn.tools().empty()) next.tools.clear();
  for (int i = 0; i < turn.tools_size(); ++i) {
    const v1::Tool& tool = turn.tools(i);
    FORGE_TRY(
        CheckName(fmt::format("{}.tools[{}].name", field, i), tool.name(), /*required=*/true));
    next.tools.push_back({tool.name(), tool.description(), tool.parameters_json(), tool.strict()});
  }
  if (!turn.template_options_json().empty())
    next.template_options_json = turn.template_options_json();
  if (SizeBytes(next) <= kMaxConversationBytes) return next;
  return BadField(field + ".messages",
                  fmt::format("make a conversation of more than {} bytes", kMaxConversationBytes));
}

void ChatConversation::AddAnswer(const ChatAnswer& answer) {
  conversation_.messages.push_back({.role = "assistant",
                                    .content = answer.content,
                                    .tool_calls = answer.tool_calls,
                                    .reasoning = answer.reasoning});
}

void ChatConversation::Forget() {
  conversation_.messages.clear();
  is_whole_ = false;
}

Result<ChatPrompt> RenderChat(const Engine& engine, const ModelSnapshot& model,
                              const Conversation& conversation, std::optional<ChatPlace> place) {
  // A template that cannot be used at all says so itself.
  const bool takes_tools = model.info.chat_template_takes_tools || model.info.chat_template.empty();
  if (!conversation.tools.empty() && !takes_tools)
    return ToolsUnsupported(model.file.name, model.info.chat_template);
  return engine.RenderChat(model.id, conversation, place);
}

}  // namespace forge
