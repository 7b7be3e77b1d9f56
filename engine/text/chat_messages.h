#pragma once

#include <string>
#include <vector>

namespace forge {

// A function that a model asks its caller to run.
struct ToolCall {
  std::string id;  // may be empty where the model's template needs none
  std::string name;
  std::string arguments_json;  // an object; empty: no arguments
};

struct ChatMessage {
  std::string role;  // "system", "user", "assistant", "tool", or what else the template knows
  std::string content;
  std::vector<ToolCall> tool_calls = {};  // of an assistant
  std::string tool_call_id = {};          // of a tool's result: the call that it answers
  std::string name = {};                  // of a tool's result: the function
  std::string reasoning = {};             // of an assistant: what it thought before its answer
};

// A function that a model may call.
struct ChatTool {
  std::string name;
  std::string description;
  std::string parameters_json;  // a JSON schema; empty: none
  bool is_strict = false;       // arguments are held to it, where calls can be
};

// What a chat template renders.
struct Conversation {
  std::vector<ChatMessage> messages;  // at least one
  std::vector<ChatTool> tools = {};
  // An object of further names for the template: {"enable_thinking": false}. Empty: none.
  std::string template_options_json = {};
};

}  // namespace forge
