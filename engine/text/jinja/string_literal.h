#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace forge::jinja {

// What stands between the quotes of a string with Python's escapes: "\n", "\u00e9". Surrogate pairs
// become one character. nullopt for an escape that Python refuses.
std::optional<std::string> UnescapeString(std::string_view inner);

}  // namespace forge::jinja
