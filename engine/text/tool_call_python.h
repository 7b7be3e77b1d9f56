#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "engine/text/chat_messages.h"

namespace forge {

// The calls that a model wrote as Python does, name(key=value, ...), one after another with white
// space between; nullopt for what is none. Values are literals of Python or of JSON: strings in
// either kind of quotes, numbers, True, False, None, lists and dicts with strings for keys.
std::optional<std::vector<ToolCall>> ReadPythonCalls(std::string_view text);
// The same as a list, [name(key=value, ...), ...]; one call may stand without the brackets.
std::optional<std::vector<ToolCall>> ReadPythonCallList(std::string_view text);

}  // namespace forge
