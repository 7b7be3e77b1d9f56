#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "engine/text/chat_messages.h"
#include "engine/text/chat_output.h"

namespace forge {

// The calls that a model wrote with tags for its arguments; nullopt for what is none. A value is a
// string where the tool's schema says so or where it is no JSON, else it is that JSON.
//
// <function=NAME><parameter=KEY>VALUE</parameter>...</function>, any number; one line break within
// a parameter's tags at either end is not the value's.
std::optional<std::vector<ToolCall>> ReadFunctionCalls(std::string_view text,
                                                       const StringParameters& strings);
// The same as <invoke name="NAME"><parameter name="KEY">VALUE</parameter>...</invoke>.
std::optional<std::vector<ToolCall>> ReadInvokeCalls(std::string_view text,
                                                     const StringParameters& strings);
// NAME<arg_key>KEY</arg_key><arg_value>VALUE</arg_value>...
std::optional<ToolCall> ReadArgKeyCall(std::string_view text, const StringParameters& strings);

}  // namespace forge
