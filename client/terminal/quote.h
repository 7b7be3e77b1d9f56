#pragma once

#include <string>

namespace forge::client {

// The text with control characters shown as escapes, in quotes.
std::string Quote(const std::string& text);

}  // namespace forge::client
