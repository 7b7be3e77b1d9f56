#pragma once

#include <string>

namespace forge::client {

// The text with control characters shown as escapes, in quotes.
std::string Quote(const std::string& text);

// The text with control characters but newline and tab shown as escapes: what a terminal would
// obey, as to set its title or to hide text.
std::string WithoutControls(const std::string& text);

}  // namespace forge::client
