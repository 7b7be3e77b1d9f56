#include "engine/text/chat_template.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "engine/text/chat_builtin.h"
#include "engine/text/jinja/errors.h"
#include "engine/text/jinja/json_reader.h"
#include "engine/text/jinja/native.h"
#include "engine/text/jinja/runtime.h"
#include "engine/text/vocabulary_checks.h"

namespace forge {
namespace {

using jinja::Budget;
using jinja::MakeDict;
using jinja::MakeList;
using jinja::MakeString;
using jinja::Value;
using Entries = std::vector<std::pair<Value, Value>>;

constexpr std::string_view kTemplateKey = "tokenizer.chat_template";
constexpr std::string_view kUnsupported = "CHAT_TEMPLATE_UNSUPPORTED";
constexpr std::string_view kHint = "; send `text` that holds the whole prompt, or token ids";

// The text of a special token, as templates name it; empty if the file has none.
Result<std::string> SpecialText(const GgufMetadata& metadata, std::string_view key,
                                std::optional<uint32_t> sentence_piece_default = std::nullopt) {
  FORGE_ASSIGN_OR_RETURN(const GgufStrings* const tokens, metadata.StringArray(kTokensKey));
  FORGE_ASSIGN_OR_RETURN(std::optional<uint32_t> id, metadata.Uint32(key));
  FORGE_ASSIGN_OR_RETURN(const std::optional<std::string_view> model, metadata.String(kModelKey));
  if (!id && model == "llama") id = sentence_piece_default;
  if (tokens == nullptr || !id || *id >= tokens->size()) return std::string();
  return std::string((*tokens)[*id]);
}

// Builds the values that a template sees. What it takes from the conversation is literal.
class ConversationValues {
 public:
  ConversationValues(const ChatTemplate::CallStyle& style, jinja::Runtime& runtime)
      : style_(style), runtime_(runtime), budget_(runtime.budget()) {}

  Result<Value> Messages(const std::vector<ChatMessage>& messages) {
    std::vector<Value> values;
    for (size_t i = 0; i < messages.size(); ++i) {
      FORGE_ASSIGN_OR_RETURN(Value message,
                             Message(messages[i], "messages[" + std::to_string(i) + "]"));
      values.push_back(std::move(message));
    }
    return MakeList(std::move(values), budget_);
  }

  // None where there are no tools, as templates expect.
  Result<Value> Tools(const std::vector<ChatTool>& tools) {
    if (tools.empty()) return Value();
    std::vector<Value> values;
    for (size_t i = 0; i < tools.size(); ++i) {
      Entries function;
      Add(function, "name", Said(tools[i].name));
      Add(function, "description", Said(tools[i].description));
      FORGE_ASSIGN_OR_RETURN(
          Value parameters,
          Object(tools[i].parameters_json, "tools[" + std::to_string(i) + "].parameters_json"));
      Add(function, "parameters", std::move(parameters));
      values.push_back(Function(std::move(function), {}));
    }
    return MakeList(std::move(values), budget_);
  }

  // An object of JSON; an empty one for an empty text.
  Result<Value> Object(std::string_view json, const std::string& field) {
    if (json.empty()) return MakeDict({}, budget_);
    Result<Value> value = jinja::ReadJson(json, budget_);
    if (value.ok() && value->Is(Value::Kind::kDict)) return value;
    const std::string problem =
        value.ok() ? "must be a JSON object" : std::string(value.status().message());
    return InvalidArgument("chat." + field + ": " + problem)
        .WithReason("INVALID_REQUEST")
        .WithDetail("field", "chat." + field);
  }

 private:
  Value Said(std::string_view text) {
    jinja::TextBuilder builder(budget_);
    builder.Append(text, /*is_literal=*/true);
    return Value(builder.Take());
  }

  void Add(Entries& entries, std::string_view name, Value value) {
    entries.emplace_back(MakeString(name, budget_), std::move(value));
  }

  // {"id": ..., "type": "function", "function": {...}}
  Value Function(Entries function, std::string_view id) {
    Entries entries;
    if (!id.empty()) Add(entries, "id", Said(id));
    Add(entries, "type", MakeString("function", budget_));
    Add(entries, "function", MakeDict(std::move(function), budget_));
    return MakeDict(std::move(entries), budget_);
  }

  Result<Value> Message(const ChatMessage& message, const std::string& field) {
    Entries entries;
    Add(entries, "role", Said(message.role));
    FORGE_ASSIGN_OR_RETURN(Value content, Content(message, field));
    Add(entries, "content", std::move(content));
    if (!message.reasoning.empty()) {
      Add(entries, "reasoning_content", Said(message.reasoning));
      Add(entries, "thinking", Said(message.reasoning));  // what gpt-oss calls it
    }
    if (!message.tool_calls.empty()) {
      FORGE_ASSIGN_OR_RETURN(Value calls, Calls(message.tool_calls, field));
      Add(entries, "tool_calls", std::move(calls));
    }
    if (!message.tool_call_id.empty()) Add(entries, "tool_call_id", Said(message.tool_call_id));
    if (!message.name.empty()) Add(entries, "name", Said(message.name));
    return MakeDict(std::move(entries), budget_);
  }

  Result<Value> Content(const ChatMessage& message, const std::string& field) {
    if (message.tool_calls.empty()) return Said(message.content);
    if (style_.no_content_is_none && message.content.empty()) return Value();
    if (!style_.are_in_content) return Said(message.content);
    const CallMarkers markers = FindCallMarkers(ToolFormat::kLfm2);
    jinja::TextBuilder text(budget_);
    text.Append(message.content, /*is_literal=*/true);
    text.Append(markers.begin);
    for (size_t i = 0; i < message.tool_calls.size(); ++i) {
      text.Append(i == 0 ? "[" : ", ");
      FORGE_ASSIGN_OR_RETURN(const Value arguments, Arguments(message.tool_calls[i], i, field));
      FORGE_TRY(AppendPythonCall(message.tool_calls[i].name, arguments, text));
    }
    text.Append("]");
    text.Append(markers.end);
    return Value(text.Take());
  }

  // name(key=value, ...)
  Status AppendPythonCall(std::string_view name, const Value& arguments, jinja::TextBuilder& text) {
    text.Append(name, /*is_literal=*/true);
    std::string_view before = "(";
    for (const auto& [key, value] : arguments.dict().entries) {
      text.Append(before);
      before = ", ";
      text.Append(key.text());
      text.Append("=");
      if (value.Is(Value::Kind::kString)) {
        FORGE_ASSIGN_OR_RETURN(const jinja::Text quoted, jinja::ToJson(value, {}, runtime_));
        text.Append(quoted);
      } else {
        jinja::AppendRepr(value, text, budget_);
      }
    }
    text.Append(arguments.dict().entries.empty() ? "()" : ")");
    return Status();
  }

  Result<Value> Arguments(const ToolCall& call, size_t i, const std::string& field) {
    return Object(call.arguments_json,
                  field + ".tool_calls[" + std::to_string(i) + "].arguments_json");
  }

  Result<Value> Calls(const std::vector<ToolCall>& calls, const std::string& field) {
    std::vector<Value> values;
    for (size_t i = 0; i < calls.size(); ++i) {
      Entries function;
      Add(function, "name", Said(calls[i].name));
      FORGE_ASSIGN_OR_RETURN(Value arguments, Arguments(calls[i], i, field));
      if (style_.arguments_are_text)
        arguments = Said(calls[i].arguments_json.empty() ? "{}" : calls[i].arguments_json);
      Add(function, "arguments", std::move(arguments));
      values.push_back(Function(std::move(function), calls[i].id));
    }
    return MakeList(std::move(values), budget_);
  }

  const ChatTemplate::CallStyle& style_;
  jinja::Runtime& runtime_;
  Budget& budget_;
};

// The names of `options` first, so that they cannot replace those of the conversation.
Status DefineConversation(const Conversation& conversation, const ChatTemplate::CallStyle& style,
                          jinja::Runtime& runtime) {
  ConversationValues values(style, runtime);
  FORGE_ASSIGN_OR_RETURN(const Value options, values.Object(conversation.template_options_json,
                                                            "template_options_json"));
  for (const auto& [name, value] : options.dict().entries) runtime.Define(name.bytes(), value);
  FORGE_ASSIGN_OR_RETURN(Value messages, values.Messages(conversation.messages));
  FORGE_ASSIGN_OR_RETURN(Value tools, values.Tools(conversation.tools));
  runtime.Define("messages", std::move(messages));
  runtime.Define("tools", std::move(tools));
  runtime.Define("documents", Value());
  if (!runtime.budget().exhausted()) return Status();
  return InvalidArgument("the conversation is too large for a chat template: " +
                         runtime.budget().what())
      .WithReason(jinja::kFailedReason);
}

StringParameters FindStringParameters(const std::vector<ChatTool>& tools) {
  StringParameters found;
  jinja::Runtime runtime(jinja::Limits(), std::tm{});
  Budget& budget = runtime.budget();
  const auto field = [&](const Value* value, std::string_view name) -> const Value* {
    const bool is_dict = value != nullptr && value->Is(Value::Kind::kDict);
    return is_dict ? value->dict().Find(name, budget) : nullptr;
  };
  for (const ChatTool& tool : tools) {
    const Result<Value> schema = jinja::ReadJson(tool.parameters_json, budget);
    const Value* const properties = schema.ok() ? field(&*schema, "properties") : nullptr;
    if (properties == nullptr || !properties->Is(Value::Kind::kDict)) continue;
    for (const auto& [name, property] : properties->dict().entries) {
      const Value* const type = field(&property, "type");
      if (type != nullptr && type->Is(Value::Kind::kString) && type->bytes() == "string")
        found.emplace(tool.name, name.bytes());
    }
  }
  return found;
}

}  // namespace

std::tm ChatTemplate::LocalTime() {
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  localtime_r(&now, &local);
  return local;
}

Result<ChatTemplate> ChatTemplate::Create(const GgufMetadata& metadata, Clock clock) {
  FORGE_ASSIGN_OR_RETURN(const std::optional<std::string_view> source,
                         metadata.String(kTemplateKey));
  std::string_view builtin_name;
  Result<jinja::Template> parsed = FailedPrecondition("not parsed");
  if (source) {
    parsed = jinja::Template::Parse(*source);
  } else {
    FORGE_ASSIGN_OR_RETURN(const ChatBuiltin* const builtin, ChooseChatBuiltin(metadata));
    builtin_name = builtin->name;
    parsed = jinja::Template::Parse(builtin->source);
  }
  if (!parsed.ok())
    return FailedPrecondition("the chat template of the model file cannot be read: " +
                              std::string(parsed.status().message()) + std::string(kHint))
        .WithReason(kUnsupported)
        .WithDetail("field", kTemplateKey);
  ChatTemplate chat_template(std::move(parsed).value());
  chat_template.builtin_name_ = builtin_name;
  FORGE_ASSIGN_OR_RETURN(chat_template.bos_, SpecialText(metadata, kBosKey, 1));
  FORGE_ASSIGN_OR_RETURN(chat_template.eos_, SpecialText(metadata, kEosKey, 2));
  FORGE_ASSIGN_OR_RETURN(chat_template.unknown_, SpecialText(metadata, kUnknownKey, 0));
  FORGE_ASSIGN_OR_RETURN(chat_template.pad_, SpecialText(metadata, kPadKey));
  chat_template.clock_ = clock;
  const jinja::Template& program = chat_template.template_;
  chat_template.call_style_.are_in_content =
      FindToolFormat(program) == ToolFormat::kLfm2 && !program.Mentions("tool_calls");
  chat_template.call_style_.no_content_is_none = program.Mentions("content'] is none");
  return chat_template;
}

std::string ChatTemplate::description() const {
  if (!is_fallback()) return "from the file";
  return std::string(builtin_name_) + " (built-in: the file has none)";
}

Result<jinja::Text> ChatTemplate::Render(const Conversation& conversation,
                                         bool add_generation_prompt) const {
  if (conversation.messages.empty())
    return InvalidArgument("the conversation has no message; send at least one")
        .WithReason("INVALID_REQUEST")
        .WithDetail("field", "chat.messages");
  Result<jinja::Text> text = Render(conversation, call_style_, add_generation_prompt);
  if (text.ok() || text.status().reason() != jinja::kFailedReason) return text;
  CallStyle style = call_style_;
  style.arguments_are_text = true;
  const bool has_calls = std::ranges::any_of(conversation.messages, [](const ChatMessage& message) {
    return !message.tool_calls.empty();
  });
  if (has_calls) {
    Result<jinja::Text> again = Render(conversation, style, add_generation_prompt);
    if (again.ok()) return again;
  }
  return Status(text.status().code(), "the model's chat template fails: " +
                                          std::string(text.status().message()) + std::string(kHint))
      .WithReason(jinja::kFailedReason);
}

Result<jinja::Text> ChatTemplate::Render(const Conversation& conversation, const CallStyle& style,
                                         bool add_generation_prompt) const {
  const auto define = [&](jinja::Runtime& runtime) -> Status {
    FORGE_TRY(DefineConversation(conversation, style, runtime));
    runtime.Define("add_generation_prompt", Value(add_generation_prompt));
    runtime.Define("bos_token", Value(std::string_view(bos_)));
    runtime.Define("eos_token", Value(std::string_view(eos_)));
    if (!unknown_.empty()) runtime.Define("unk_token", Value(std::string_view(unknown_)));
    if (!pad_.empty()) runtime.Define("pad_token", Value(std::string_view(pad_)));
    return Status();
  };
  return template_.Render(define, clock_());
}

ChatOutputOptions ChatTemplate::OutputOptions(const Conversation& conversation,
                                              std::string_view rendered) const {
  ChatOutputOptions options;
  options.open_thinking = FindOpenThinking(rendered);
  options.has_channels = template_.Mentions("<|channel|>");
  for (const ChatMessage& message : conversation.messages)
    options.n_earlier_calls += static_cast<uint32_t>(message.tool_calls.size());
  if (conversation.tools.empty()) return options;
  options.tool_format = FindToolFormat(template_);
  options.tools = conversation.tools;
  options.string_parameters = FindStringParameters(conversation.tools);
  return options;
}

}  // namespace forge
