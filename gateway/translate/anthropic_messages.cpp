#include "gateway/translate/anthropic_messages.h"

#include <functional>
#include <string>
#include <string_view>

#include "gateway/translate/result_parts.h"

namespace forge::gateway {

namespace {

// Claude Code's first block of `system` is a line about its account, which is none of the model's
// business and may be another in each request, so that no prompt would begin as the one before.
constexpr std::string_view kBillingLine = "x-anthropic-billing-header:";

// Without that line. What is behind it in one text, of a client that joined the blocks, stays.
std::string WithoutBillingLine(const std::string& text) {
  if (!text.starts_with(kBillingLine)) return text;
  const size_t end = text.find('\n');
  return end == std::string::npos ? std::string() : text.substr(end + 1);
}

Status RefuseBlock(const Fields& block, const std::string& type, const char* supported) {
  return BadField(block.NameOf("type"),
                  "is '" + type.substr(0, 100) + "', but only " + supported + " supported");
}

Result<std::string> ReadText(const Fields& block, const char* name) {
  FORGE_ASSIGN_OR_RETURN(const auto text, block.Text(name));
  if (!text) return BadField(block.NameOf(name), "is missing");
  return *text;
}

// Hands each block of a content to `read`, with its type; a string is a block of text.
using ReadBlock = std::function<Status(const Fields& block, const std::string& type)>;
Status ReadBlocks(const Json& content, const std::string& path, const ReadBlock& read) {
  if (content.is_string()) {
    const Json block = {{"type", "text"}, {"text", content}};
    return read({block, path + "."}, "text");
  }
  if (!content.is_array()) return BadField(path, "must be a string or an array of blocks");
  for (size_t i = 0; i < content.size(); ++i) {
    const std::string block_path = path + "[" + std::to_string(i) + "]";
    if (!content[i].is_object()) return BadField(block_path, "must be an object");
    const Fields block{content[i], block_path + "."};
    FORGE_ASSIGN_OR_RETURN(const auto type, block.Text("type"));
    FORGE_TRY(read(block, type.value_or("")));
  }
  return Status();
}

// What the system says: at the beginning of the conversation or, as Claude Code has it, within.
Status ReadInstructions(const Json& content, const std::string& path,
                        ConversationWriter& conversation) {
  return ReadBlocks(content, path, [&](const Fields& block, const std::string& type) -> Status {
    if (type != "text") return RefuseBlock(block, type, "text is");
    FORGE_ASSIGN_OR_RETURN(const std::string text, ReadText(block, "text"));
    const std::string instruction = WithoutBillingLine(text);
    if (!instruction.empty()) conversation.AddSystem(instruction);
    return Status();
  });
}

// The texts of a result, a line or more each.
Result<std::string> ReadResultText(const Fields& result) {
  const Json* const content = result.Find("content");
  if (content == nullptr) return std::string();
  std::string text;
  const auto read = [&](const Fields& block, const std::string& type) -> Status {
    if (!text.empty() && text.back() != '\n') text += '\n';
    if (type == "tool_reference") {  // of a tool that was sent with the others
      FORGE_ASSIGN_OR_RETURN(const std::string name, ReadText(block, "tool_name"));
      text += "The tool " + name + " can be called.";
      return Status();
    }
    if (const std::string_view words = PartInWords(type); !words.empty()) {
      text += words;
      return Status();
    }
    if (type != "text") return RefuseBlock(block, type, "text is");
    FORGE_ASSIGN_OR_RETURN(const std::string part, ReadText(block, "text"));
    text += part;
    return Status();
  };
  FORGE_TRY(ReadBlocks(*content, result.NameOf("content"), read));
  return text;
}

Status ReadResult(const Fields& block, ConversationWriter& conversation) {
  FORGE_ASSIGN_OR_RETURN(const std::string id, ReadText(block, "tool_use_id"));
  FORGE_ASSIGN_OR_RETURN(const auto is_error, block.Bool("is_error"));
  FORGE_ASSIGN_OR_RETURN(std::string text, ReadResultText(block));
  // Templates know no failed results; most clients' texts say it themselves.
  if (is_error.value_or(false) && !text.starts_with("Error")) text = "Error: " + text;
  conversation.AddResult(id, text);
  return Status();
}

Status ReadUser(const Json& content, const std::string& path, ConversationWriter& conversation) {
  if (content.is_array() && content.empty()) conversation.AddUser("");
  return ReadBlocks(content, path, [&](const Fields& block, const std::string& type) -> Status {
    if (type == "tool_result") return ReadResult(block, conversation);
    if (type != "text") return RefuseBlock(block, type, "text and tool_result are");
    FORGE_ASSIGN_OR_RETURN(const std::string text, ReadText(block, "text"));
    conversation.AddUser(text);
    return Status();
  });
}

Status ReadCall(const Fields& block, ConversationWriter& conversation) {
  v1::ToolCall call;
  FORGE_ASSIGN_OR_RETURN(*call.mutable_id(), ReadText(block, "id"));
  FORGE_ASSIGN_OR_RETURN(*call.mutable_name(), ReadText(block, "name"));
  if (call.name().empty()) return BadField(block.NameOf("name"), "is empty");
  FORGE_ASSIGN_OR_RETURN(const Json* const input, block.Object("input"));
  call.set_arguments_json(input == nullptr ? "{}" : Dump(*input));
  conversation.AddCall(std::move(call));
  return Status();
}

Status ReadAssistant(const Json& content, const std::string& path,
                     ConversationWriter& conversation) {
  return ReadBlocks(content, path, [&](const Fields& block, const std::string& type) -> Status {
    if (type == "redacted_thinking") return Status();  // only its author can read it
    if (type == "tool_use") return ReadCall(block, conversation);
    const bool is_thought = type == "thinking";
    if (!is_thought && type != "text")
      return RefuseBlock(block, type, "text, thinking, redacted_thinking and tool_use are");
    FORGE_ASSIGN_OR_RETURN(const std::string text,
                           ReadText(block, is_thought ? "thinking" : "text"));
    is_thought ? conversation.AddThought(text) : conversation.AddAnswer(text);
    return Status();
  });
}

Status ReadMessage(const Fields& message, ConversationWriter& conversation) {
  FORGE_ASSIGN_OR_RETURN(const auto role, message.Text("role"));
  const Json* const content = message.Find("content");
  const std::string path = message.NameOf("content");
  if (content == nullptr) return BadField(path, "is missing");
  if (role == "user") return ReadUser(*content, path, conversation);
  if (role == "assistant") return ReadAssistant(*content, path, conversation);
  if (role == "system") return ReadInstructions(*content, path, conversation);
  return BadField(message.NameOf("role"),
                  (role ? "is '" + role->substr(0, 100) + "', but " : std::string()) +
                      "must be user, assistant or system");
}

}  // namespace

Status ReadAnthropicMessages(const Fields& body, ConversationWriter& conversation) {
  const Json* const system = body.Find("system");
  if (system != nullptr) FORGE_TRY(ReadInstructions(*system, "system", conversation));
  FORGE_ASSIGN_OR_RETURN(const Json* const messages, body.Array("messages"));
  if (messages == nullptr || messages->empty())
    return BadField("messages", "is missing or empty; an answer needs a question");
  for (size_t i = 0; i < messages->size(); ++i) {
    const std::string path = "messages[" + std::to_string(i) + "]";
    if (!(*messages)[i].is_object()) return BadField(path, "must be an object");
    FORGE_TRY(ReadMessage({(*messages)[i], path + "."}, conversation));
  }
  return Status();
}

}  // namespace forge::gateway
