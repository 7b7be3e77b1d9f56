#include "gateway/translate/responses_input.h"

#include <string_view>
#include <utility>

#include "gateway/translate/responses_tools.h"
#include "gateway/translate/result_parts.h"

namespace forge::gateway {

namespace {

constexpr std::string_view kSeal = "forge-thought:";

Status RefuseType(const Fields& part, const std::string& type, const char* supported) {
  return BadField(part.NameOf("type"),
                  "is '" + type.substr(0, 100) + "', but only " + supported + " supported");
}

bool IsText(std::string_view type) {
  for (const std::string_view name :
       {"input_text", "output_text", "text", "summary_text", "reasoning_text"}) {
    if (type == name) return true;
  }
  return false;
}

Result<std::string> ReadPart(const Fields& part, bool is_result) {
  FORGE_ASSIGN_OR_RETURN(const auto given, part.Text("type"));
  const std::string type = given.value_or("");
  if (const std::string_view words = PartInWords(type); is_result && !words.empty())
    return std::string(words);
  const bool is_refusal = type == "refusal";
  if (!is_refusal && !IsText(type)) return RefuseType(part, type, "text is");
  const char* const name = is_refusal ? "refusal" : "text";
  FORGE_ASSIGN_OR_RETURN(const auto value, part.Text(name));
  if (!value) return BadField(part.NameOf(name), "is missing");
  return *value;
}

// The texts of a content, one behind the other; those of the user and of results a line or more
// each. nullptr: none.
Result<std::string> ReadTexts(const Json* content, const std::string& path, const char* between,
                              bool is_result = false) {
  if (content == nullptr) return std::string();
  if (content->is_string()) return content->get<std::string>();
  if (!content->is_array()) return BadField(path, "must be a string or an array of parts");
  std::string text;
  for (size_t i = 0; i < content->size(); ++i) {
    const std::string part_path = path + "[" + std::to_string(i) + "]";
    if (!(*content)[i].is_object()) return BadField(part_path, "must be an object");
    const Fields part{(*content)[i], part_path + "."};
    FORGE_ASSIGN_OR_RETURN(const std::string value, ReadPart(part, is_result));
    if (!text.empty() && text.back() != '\n') text += between;
    text += value;
  }
  return text;
}

Status ReadMessage(const Fields& item, ConversationWriter& conversation) {
  FORGE_ASSIGN_OR_RETURN(const auto role, item.Text("role"));
  const bool is_answer = role == "assistant";
  FORGE_ASSIGN_OR_RETURN(const std::string text,
                         ReadTexts(item.Find("content"), item.NameOf("content"),
                                   /*between=*/is_answer ? "" : "\n"));
  if (is_answer) {
    conversation.AddAnswer(text);
  } else if (role == "user") {
    conversation.AddUser(text);
  } else if (role == "system" || role == "developer") {
    conversation.AddSystem(text);
  } else {
    return BadField(item.NameOf("role"), (role ? "is '" + role->substr(0, 100) + "', but " : "") +
                                             std::string("must be user, assistant, system or "
                                                         "developer"));
  }
  return Status();
}

Status ReadCall(const Fields& item, ConversationWriter& conversation) {
  FORGE_ASSIGN_OR_RETURN(const auto id, item.Text("call_id"));
  FORGE_ASSIGN_OR_RETURN(const auto name, item.Text("name"));
  FORGE_ASSIGN_OR_RETURN(const auto space, item.Text("namespace"));
  FORGE_ASSIGN_OR_RETURN(const auto arguments, item.Text("arguments"));
  if (!id) return BadField(item.NameOf("call_id"), "is missing");
  if (!name || name->empty()) return BadField(item.NameOf("name"), "is missing");
  v1::ToolCall call;
  call.set_id(*id);
  call.set_name(space && !space->empty() ? NamespacedNames::Join(*space, *name) : *name);
  call.set_arguments_json(!arguments || arguments->empty() ? "{}" : *arguments);
  conversation.AddCall(std::move(call));
  return Status();
}

Status ReadResult(const Fields& item, ConversationWriter& conversation) {
  FORGE_ASSIGN_OR_RETURN(const auto id, item.Text("call_id"));
  if (!id) return BadField(item.NameOf("call_id"), "is missing");
  FORGE_ASSIGN_OR_RETURN(const std::string text,
                         ReadTexts(item.Find("output"), item.NameOf("output"), "\n",
                                   /*is_result=*/true));
  conversation.AddResult(*id, text);
  return Status();
}

// In the open, else as it was kept, else what is left of it.
Status ReadThought(const Fields& item, ConversationWriter& conversation) {
  FORGE_ASSIGN_OR_RETURN(std::string thought,
                         ReadTexts(item.Find("content"), item.NameOf("content"), ""));
  FORGE_ASSIGN_OR_RETURN(const auto sealed, item.Text("encrypted_content"));
  if (thought.empty() && sealed && sealed->starts_with(kSeal))
    thought = sealed->substr(kSeal.size());
  FORGE_ASSIGN_OR_RETURN(const std::string summary,
                         ReadTexts(item.Find("summary"), item.NameOf("summary"), "\n"));
  if (thought.empty()) thought = summary;
  if (!thought.empty()) conversation.AddThought(thought);
  return Status();
}

Status ReadItem(const Fields& item, ConversationWriter& conversation) {
  FORGE_ASSIGN_OR_RETURN(const auto given, item.Text("type"));
  const std::string type = given.value_or("message");
  if (type == "message") return ReadMessage(item, conversation);
  if (type == "function_call") return ReadCall(item, conversation);
  if (type == "function_call_output") return ReadResult(item, conversation);
  if (type == "reasoning") return ReadThought(item, conversation);
  return RefuseType(item, type, "message, function_call, function_call_output and reasoning are");
}

}  // namespace

Status ReadResponsesInput(const Fields& body, ConversationWriter& conversation) {
  FORGE_ASSIGN_OR_RETURN(const auto instructions, body.Text("instructions"));
  if (instructions && !instructions->empty()) conversation.AddSystem(*instructions);
  const Json* const input = body.Find("input");
  if (input == nullptr || input->empty())
    return BadField("input", "is missing or empty; an answer needs a question");
  if (input->is_string()) {
    conversation.AddUser(input->get<std::string>());
    return Status();
  }
  if (!input->is_array()) return BadField("input", "must be a string or an array of items");
  for (size_t i = 0; i < input->size(); ++i) {
    const std::string path = "input[" + std::to_string(i) + "]";
    if (!(*input)[i].is_object()) return BadField(path, "must be an object");
    FORGE_TRY(ReadItem({(*input)[i], path + "."}, conversation));
  }
  return Status();
}

std::string SealedThought(const std::string& thought) { return std::string(kSeal) + thought; }

}  // namespace forge::gateway
