#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <string_view>

#include "engine/text/chat_template.h"

namespace forge {

// A prompt format as data: a message is its role's prefix, its content, and its role's suffix.
//
// In prefixes and suffixes the characters kBos and kEos stand for the texts of these tokens.
struct ChatTemplate::Builtin {
  static constexpr char kBos = '\x01';
  static constexpr char kEos = '\x04';
  static constexpr size_t kMaxFragments = 8;

  // Where a system message goes that opens the conversation.
  enum class System {
    kMessage,      // it is a message like others; others may follow anywhere
    kPreamble,     // into a first message that is always there and tells the date
    kInFirstUser,  // before the content of the first user message
    kInLastUser,   // before the content of a user message that ends the conversation
    kRefused,
  };

  std::string_view name = {};
  // What the code of a file's template must hold, and must not: see TemplateShape. Empty ones do
  // not count.
  std::array<std::string_view, kMaxFragments> required = {};
  std::array<std::string_view, kMaxFragments> forbidden = {};
  size_t n_texts = 0;  // stretches of text outside tags

  std::string_view system_prefix = {};
  std::string_view user_prefix = {};
  std::string_view assistant_prefix = {};
  std::string_view user_suffix = {};  // of system messages too
  std::string_view assistant_suffix = {};
  std::string_view turn_end =
      {};  // the token in assistant_suffix that a model ends its answer with
  std::string_view generation_prompt = {};
  bool starts_with_bos = true;
  bool may_lack_bos = false;  // starts with it only if the file's template does
  bool strips_content = false;
  bool alternates = false;  // user and assistant take turns, the user first
  System system = System::kMessage;
  // Around a system message that goes into another.
  std::string_view system_open = {};
  std::string_view system_close = {};
};

// Every built-in template; the first whose fragments fit is taken.
std::span<const ChatTemplate::Builtin> ChatBuiltins();

}  // namespace forge
