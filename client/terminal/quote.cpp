#include "client/terminal/quote.h"

#include <cstdio>
#include <string_view>

namespace forge::client {

namespace {

// The length of the control character that `text` starts with, in bytes of UTF-8; 0: it is none.
size_t ControlSize(std::string_view text) {
  const auto byte = static_cast<unsigned char>(text[0]);
  const auto next = text.size() > 1 ? static_cast<unsigned char>(text[1]) : 0;
  if (byte == 0xc2 && next >= 0x80 && next < 0xa0) return 2;  // C1
  return byte < 0x20 || byte == 0x7f ? 1 : 0;
}

std::string Escape(char control) {
  char escape[8];
  std::snprintf(escape, sizeof(escape), "\\x%02x", static_cast<unsigned char>(control));
  return escape;
}

}  // namespace

std::string Quote(const std::string& text) {
  std::string quoted;
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
  return '"' + WithoutControls(quoted) + '"';
}

std::string WithoutControls(const std::string& text) {
  std::string shown;
  for (size_t i = 0; i < text.size();) {
    const size_t size = ControlSize(std::string_view(text).substr(i));
    if (size == 0 || text[i] == '\n' || text[i] == '\t') {
      shown += text[i++];
      continue;
    }
    i += size;
    shown += Escape(text[i - 1]);
  }
  return shown;
}

}  // namespace forge::client
