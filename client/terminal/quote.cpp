#include "client/terminal/quote.h"

#include <cstdio>

namespace forge::client {

std::string Quote(const std::string& text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '\n') {
      quoted += "\\n";
    } else if (c == '\t') {
      quoted += "\\t";
    } else if (c == '\r') {
      quoted += "\\r";
    } else if (c == '\033') {
      quoted += "\\e";
    } else if (c == '"' || c == '\\') {
      quoted += {'\\', c};
    } else {
      quoted += c;
    }
  }
  return quoted + "\"";
}

std::string WithoutControls(const std::string& text) {
  std::string shown;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const auto next = i + 1 < text.size() ? static_cast<unsigned char>(text[i + 1]) : 0;
    const bool is_c1 = byte == 0xc2 && next >= 0x80 && next < 0xa0;
    if (!is_c1 && (byte >= 0x20 || byte == '\n' || byte == '\t') && byte != 0x7f) {
      shown += text[i];
      continue;
    }
    char escape[8];
    std::snprintf(escape, sizeof(escape), "\\x%02x", is_c1 ? next : byte);
    shown += escape;
    if (is_c1) ++i;
  }
  return shown;
}

}  // namespace forge::client
