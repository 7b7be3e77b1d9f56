#pragma once

#include <optional>
#include <string_view>

#include "engine/text/chat_messages.h"

namespace forge {

// The call that Gemma 4 wrote, call:NAME{key:value,...}; nullopt for what is none. A value is a
// number, true, false, null, {key:value,...}, [value,...], a JSON string, or <|"|>text<|"|>, whose
// text stands as it is. Keys stand bare or as such strings.
std::optional<ToolCall> ReadGemmaCall(std::string_view text);

}  // namespace forge
