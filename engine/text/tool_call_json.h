#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/text/chat_messages.h"
#include "engine/text/chat_output.h"

namespace forge {

// The calls that a model wrote between the markers of a format; nullopt for what is none. Arguments
// are written anew, with one space after separators, as templates write them.
std::optional<std::vector<ToolCall>> ReadToolCalls(std::string_view text, ToolFormat format,
                                                   const StringParameters& strings = {});

// False for an empty name, and for one with white space, quotes or brackets.
bool IsToolName(std::string_view name);

// Arguments that stand alone, an object, written anew in the same way.
std::optional<std::string> ReadArguments(std::string_view json);

}  // namespace forge
