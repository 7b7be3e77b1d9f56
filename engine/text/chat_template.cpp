#include "engine/text/chat_template.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>
#include <span>

#include "engine/gguf/gguf_fault.h"
#include "engine/text/characters.h"
#include "engine/text/chat_builtin.h"
#include "engine/text/template_shape.h"
#include "engine/text/vocabulary_checks.h"

namespace forge {
namespace {

constexpr std::string_view kTemplateKey = "tokenizer.chat_template";
constexpr std::string_view kUnsupported = "CHAT_TEMPLATE_UNSUPPORTED";
constexpr size_t kMaxTemplateBytes = 256 * 1024;

Status UnsupportedTemplate(std::string_view what) {
  return FailedPrecondition(std::string(what) +
                            "; send `text` that holds the whole prompt, or token ids")
      .WithReason(kUnsupported)
      .WithDetail("field", kTemplateKey);
}

// As Python's str.strip, which Jinja's trim is: all white space and four separators of ASCII.
std::string_view Strip(std::string_view text) {
  const auto is_blank = [](const Char& c) {
    return c.Is(kSpace) || (c.code_point >= 0x1c && c.code_point <= 0x1f);
  };
  size_t begin = text.size();
  size_t end = 0;
  for (size_t i = 0; i < text.size();) {
    const Char c = CharAt(text, i);
    if (!is_blank(c)) {
      begin = std::min(begin, i);
      end = i + c.size;
    }
    i += c.size;
  }
  return begin < end ? text.substr(begin, end - begin) : std::string_view();
}

// The text of a special token, as templates name it; empty if the file has none.
Result<std::string> SpecialText(const GgufMetadata& metadata, std::string_view key,
                                uint32_t sentence_piece_default) {
  FORGE_ASSIGN_OR_RETURN(const GgufStrings* const tokens, metadata.StringArray(kTokensKey));
  FORGE_ASSIGN_OR_RETURN(std::optional<uint32_t> id, metadata.Uint32(key));
  FORGE_ASSIGN_OR_RETURN(const std::optional<std::string_view> model, metadata.String(kModelKey));
  if (!id && model == "llama") id = sentence_piece_default;
  if (tokens == nullptr || !id || *id >= tokens->size()) return std::string();
  return std::string((*tokens)[*id]);
}

// "02 Jan 2025"
std::string DateText(std::chrono::year_month_day date) {
  constexpr std::array<const char*, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const unsigned month = static_cast<unsigned>(date.month());
  char text[32];
  std::snprintf(text, sizeof(text), "%02u %s %04d", static_cast<unsigned>(date.day()),
                kMonths[(month - 1) % kMonths.size()], static_cast<int>(date.year()));
  return text;
}

using Builtin = ChatTemplate::Builtin;

bool Fits(const Builtin& builtin, const TemplateShape& shape) {
  const auto is_there = [&](std::string_view fragment) { return shape.Contains(fragment); };
  const auto is_unwanted = [&](std::string_view fragment) {
    return !fragment.empty() && shape.Contains(fragment);
  };
  const auto n_texts = std::count(shape.code.begin(), shape.code.end(), TemplateShape::kTextBegin);
  if (builtin.may_lack_bos && shape.code.rfind("bos_token") != std::string::npos &&
      (shape.code.rfind("bos_token") != 2 || !shape.code.starts_with("{{bos_token}}")))
    return false;
  return static_cast<size_t>(n_texts) == builtin.n_texts &&
         std::all_of(builtin.required.begin(), builtin.required.end(), is_there) &&
         std::none_of(builtin.forbidden.begin(), builtin.forbidden.end(), is_unwanted);
}

// The system message that a ChatML template writes where the conversation has none.
std::optional<std::string> DefaultSystem(const Builtin& builtin, const TemplateShape& shape) {
  if (builtin.system != Builtin::System::kMessage) return std::nullopt;
  for (std::string_view literal : shape.literals) {
    if (!literal.starts_with(builtin.system_prefix) || !literal.ends_with(builtin.user_suffix))
      continue;
    literal.remove_prefix(builtin.system_prefix.size());
    literal.remove_suffix(builtin.user_suffix.size());
    return std::string(literal);
  }
  return std::nullopt;
}

// The date that a template falls back to where it does not ask for today's.
std::string FixedDate(const TemplateShape& shape) {
  constexpr std::string_view kAssignment = "setdate_string='";
  if (shape.Contains("strftime_now('%d %b %Y')")) return std::string();
  const size_t found = shape.code.find(kAssignment);
  if (found == std::string::npos) return std::string();
  const size_t begin = found + kAssignment.size();
  return shape.code.substr(begin, shape.code.find('\'', begin) - begin);
}

}  // namespace

std::chrono::year_month_day ChatTemplate::LocalToday() {
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  localtime_r(&now, &local);
  return std::chrono::year(local.tm_year + 1900) / (local.tm_mon + 1) / local.tm_mday;
}

Result<ChatTemplate> ChatTemplate::Create(const GgufMetadata& metadata, Today today) {
  FORGE_ASSIGN_OR_RETURN(const std::optional<std::string_view> source,
                         metadata.String(kTemplateKey));
  if (!source) return UnsupportedTemplate("the model file has no chat template");
  if (source->size() > kMaxTemplateBytes)
    return UnsupportedTemplate("the chat template of the model file has " +
                               std::to_string(source->size()) +
                               " bytes, more than the 262144 that are read");
  const std::optional<TemplateShape> shape = ReadTemplateShape(*source);
  const std::span<const Builtin> builtins = ChatBuiltins();
  const auto builtin =
      std::find_if(builtins.begin(), builtins.end(),
                   [&](const Builtin& candidate) { return shape && Fits(candidate, *shape); });
  if (builtin == builtins.end())
    return UnsupportedTemplate(
        "the chat template of the model file is none of those that docs/tokenizers.md lists");

  ChatTemplate chat_template(&*builtin);
  FORGE_ASSIGN_OR_RETURN(chat_template.bos_, SpecialText(metadata, kBosKey, 1));
  FORGE_ASSIGN_OR_RETURN(chat_template.eos_, SpecialText(metadata, kEosKey, 2));
  chat_template.writes_bos_ =
      builtin->starts_with_bos && (!builtin->may_lack_bos || shape->Contains("bos_token"));
  chat_template.default_system_ = DefaultSystem(*builtin, *shape);
  chat_template.fixed_date_ = FixedDate(*shape);
  chat_template.today_ = today;
  return chat_template;
}

std::string_view ChatTemplate::name() const { return builtin_->name; }

Status ChatTemplate::CheckRoles(const std::vector<ChatMessage>& messages,
                                bool starts_conversation) const {
  const auto invalid = [&](size_t i, std::string_view rule) {
    return InvalidArgument("message " + std::to_string(i) + " of the conversation has role " +
                           QuoteText(messages[i].role) + ": " + std::string(rule))
        .WithDetail("chatTemplate", name());
  };
  if (messages.empty())
    return InvalidArgument("the conversation has no message; send at least one");
  const bool system_opens = starts_conversation && messages[0].role == "system" &&
                            builtin_->system != Builtin::System::kRefused;
  for (size_t i = 0; i < messages.size(); ++i) {
    const std::string& role = messages[i].role;
    if (role != "system" && role != "user" && role != "assistant")
      return invalid(i, "the roles are \"system\", \"user\" and \"assistant\"");
    if (!builtin_->alternates || (i == 0 && system_opens)) continue;
    const bool is_users_turn = (i - (system_opens ? 1 : 0)) % 2 == 0;
    if (role != (is_users_turn ? "user" : "assistant"))
      return invalid(i,
                     "with the model's chat template, user and assistant take turns, the user "
                     "first" +
                         std::string(builtin_->system == Builtin::System::kRefused
                                         ? ", and there is no system message"
                                         : ", after one system message at most"));
  }
  if (builtin_->alternates && system_opens && messages.size() == 1)
    return invalid(0, "the model's chat template puts it into a user message, and there is none");
  return Status();
}

void ChatTemplate::AppendFixed(std::string_view text, std::string& prompt) const {
  for (const char c : text) {
    if (c == Builtin::kBos) {
      prompt += bos_;
    } else if (c == Builtin::kEos) {
      prompt += eos_;
    } else {
      prompt += c;
    }
  }
}

void ChatTemplate::AppendContent(std::string_view content, std::string& prompt) const {
  prompt += builtin_->strips_content ? Strip(content) : content;
}

void ChatTemplate::AppendMessage(const ChatMessage& message, std::string_view before_content,
                                 std::string& prompt) const {
  const bool is_assistant = message.role == "assistant";
  AppendFixed(is_assistant             ? builtin_->assistant_prefix
              : message.role == "user" ? builtin_->user_prefix
                                       : builtin_->system_prefix,
              prompt);
  if (before_content.empty()) {
    AppendContent(message.content, prompt);
  } else {
    AppendContent(std::string(before_content) + message.content, prompt);
  }
  AppendFixed(is_assistant ? builtin_->assistant_suffix : builtin_->user_suffix, prompt);
}

void ChatTemplate::AppendOpening(const std::optional<std::string>& system,
                                 std::string& prompt) const {
  if (builtin_->system != Builtin::System::kPreamble) return;
  AppendFixed(builtin_->system_prefix, prompt);
  prompt += "Cutting Knowledge Date: December 2023\nToday Date: ";
  prompt += fixed_date_.empty() ? DateText(today_()) : fixed_date_;
  prompt += "\n\n";
  AppendContent(system.value_or(std::string()), prompt);
  AppendFixed(builtin_->user_suffix, prompt);
}

void ChatTemplate::AppendMessages(const std::vector<ChatMessage>& messages, size_t begin,
                                  const std::optional<std::string>& system,
                                  std::string& prompt) const {
  using System = ChatTemplate::Builtin::System;
  for (size_t i = begin; i < messages.size(); ++i) {
    const bool takes_system = system && ((builtin_->system == System::kInFirstUser && i == begin) ||
                                         (builtin_->system == System::kInLastUser &&
                                          i + 1 == messages.size() && messages[i].role == "user"));
    std::string before_content;
    if (takes_system) {
      before_content += builtin_->system_open;
      before_content += *system;
      before_content += builtin_->system_close;
    }
    AppendMessage(messages[i], before_content, prompt);
  }
}

Result<std::string> ChatTemplate::Render(const std::vector<ChatMessage>& messages,
                                         bool add_generation_prompt) const {
  FORGE_TRY(CheckRoles(messages, true));
  std::string prompt;
  if (writes_bos_) prompt += bos_;
  const bool has_system = messages[0].role == "system";
  const bool moves_system = has_system && builtin_->system != Builtin::System::kMessage;
  if (!has_system && default_system_) AppendMessage({"system", *default_system_}, {}, prompt);
  const std::optional<std::string> system =
      moves_system ? std::optional(messages[0].content) : std::nullopt;
  AppendOpening(system, prompt);
  AppendMessages(messages, moves_system ? 1 : 0, system, prompt);
  if (add_generation_prompt) AppendFixed(builtin_->generation_prompt, prompt);
  return prompt;
}

Result<std::string> ChatTemplate::RenderContinuation(const std::vector<ChatMessage>& messages,
                                                     bool turn_closed) const {
  FORGE_TRY(CheckRoles(messages, false));
  std::string_view closing = builtin_->assistant_suffix;
  if (turn_closed)
    closing.remove_prefix(closing.find(builtin_->turn_end) + builtin_->turn_end.size());
  std::string prompt;
  AppendFixed(closing, prompt);
  AppendMessages(messages, 0, std::nullopt, prompt);
  AppendFixed(builtin_->generation_prompt, prompt);
  return prompt;
}

}  // namespace forge
