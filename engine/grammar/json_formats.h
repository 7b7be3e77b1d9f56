#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "engine/grammar/grammar.h"
#include "engine/grammar/json_text.h"

namespace forge {

// The strings of a schema's `format`.
struct FormatTexts {
  GrammarNodeId content = 0;  // without the quotes
  uint32_t min_length = 0, max_length = 0;
};

// nullopt for a format that is not known. Known: date, time, date-time, uuid, email, hostname,
// ipv4, ipv6, uri. Each writes valid strings of the format, in its usual shape; not all of them.
std::optional<FormatTexts> CompileFormat(std::string_view format, Grammar& grammar, JsonText& text);

}  // namespace forge
