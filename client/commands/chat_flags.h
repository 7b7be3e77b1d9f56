#pragma once

#include <forge/v1/forge.pb.h>

#include <CLI/App.hpp>
#include <string>
#include <vector>

namespace forge::client {

// What goes with the messages of a chat.
struct ChatFlags {
  std::string tools_file;
  std::vector<std::string> template_options;  // "NAME=VALUE"
  bool no_think = false;

  bool any() const { return !tools_file.empty() || !template_options.empty() || no_think; }
};

void AddChatFlags(CLI::App& command, ChatFlags& flags);

// Puts tools and template options into `chat`. Throws CLI::ValidationError for a file that cannot
// be read or holds no tools, and for a malformed option.
void SetChatFlags(const ChatFlags& flags, v1::ChatMessages& chat);

}  // namespace forge::client
