#include "daemon/text/utf8.h"

#include <algorithm>

namespace forge {
namespace {

constexpr std::string_view kReplacement = "\xef\xbf\xbd";

// What the first byte of a character promises: its length, and the range of the second byte, which
// is where overlong forms, surrogates and numbers past U+10FFFF show.
struct LeadByte {
  size_t length = 0;  // 0: no character starts with this byte
  unsigned char second_least = 0x80, second_most = 0xbf;
};

LeadByte Lead(unsigned char byte) {
  if (byte < 0x80) return {1};
  if (byte < 0xc2) return {};
  if (byte < 0xe0) return {2};
  if (byte == 0xe0) return {3, 0xa0, 0xbf};
  if (byte == 0xed) return {3, 0x80, 0x9f};
  if (byte < 0xf0) return {3};
  if (byte == 0xf0) return {4, 0x90, 0xbf};
  if (byte < 0xf4) return {4};
  if (byte == 0xf4) return {4, 0x80, 0x8f};
  return {};
}

struct Scan {
  size_t length;  // bytes that belong together, at least 1
  bool valid;
};

// Looks at the first character of `text`, which is not empty.
Scan ScanCharacter(std::string_view text) {
  const LeadByte lead = Lead(static_cast<unsigned char>(text[0]));
  if (lead.length == 0) return {1, false};
  for (size_t i = 1; i < lead.length; ++i) {
    if (i == text.size()) return {i, false};
    const unsigned char byte = static_cast<unsigned char>(text[i]);
    const unsigned char least = i == 1 ? lead.second_least : 0x80;
    const unsigned char most = i == 1 ? lead.second_most : 0xbf;
    if (byte < least || byte > most) return {i, false};
  }
  return {lead.length, true};
}

}  // namespace

bool IsValidUtf8(std::string_view text) {
  while (!text.empty()) {
    const Scan scan = ScanCharacter(text);
    if (!scan.valid) return false;
    text.remove_prefix(scan.length);
  }
  return true;
}

std::string SanitizeUtf8(std::string_view text) {
  std::string clean;
  clean.reserve(text.size());
  while (!text.empty()) {
    const Scan scan = ScanCharacter(text);
    clean += scan.valid ? text.substr(0, scan.length) : kReplacement;
    text.remove_prefix(scan.length);
  }
  return clean;
}

std::string_view TruncateUtf8(std::string_view text, size_t max_bytes) {
  if (text.size() <= max_bytes) return text;
  size_t end = max_bytes;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return text.substr(0, end);
}

bool HasControlCharacter(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) {
    const unsigned char byte = static_cast<unsigned char>(c);
    return byte < 0x20 || byte == 0x7f;
  });
}

}  // namespace forge
