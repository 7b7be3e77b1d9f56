#pragma once

#include <cstddef>
#include <iosfwd>
#include <string>

#include "engine/text/chat_output.h"

namespace forge::testing {

// An answer, told apart: calls as "id:name{arguments};", and the pieces in order as C(content),
// R(reasoning) and T(call).
struct Told {
  std::string content, reasoning, calls, pieces;
  friend bool operator==(const Told&, const Told&) = default;
};
std::ostream& operator<<(std::ostream& out, const Told& told);

Told Read(const std::string& answer, const ChatOutputOptions& options, size_t n_bytes_each);
// Expects the same however the text is cut into tokens.
Told Read(const std::string& answer, const ChatOutputOptions& options = {});
Told Tools(const std::string& answer, ToolFormat format);
// What is nothing but content.
Told Content(const std::string& text);

}  // namespace forge::testing
