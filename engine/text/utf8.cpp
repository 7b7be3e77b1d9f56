#include "engine/text/utf8.h"

namespace forge {
namespace {

constexpr char32_t kReplacement = 0xfffd;

// What the first byte of a character says about the others.
struct Lead {
  uint8_t length = 0;  // of the character; 0: no character starts so
  uint8_t second_min = 0x80;
  uint8_t second_max = 0xbf;
};

constexpr Lead LeadOf(uint8_t byte) {
  if (byte < 0x80) return {1};
  if (byte < 0xc2) return {0};
  if (byte < 0xe0) return {2};
  if (byte == 0xe0) return {3, 0xa0, 0xbf};
  if (byte == 0xed) return {3, 0x80, 0x9f};
  if (byte < 0xf0) return {3};
  if (byte == 0xf0) return {4, 0x90, 0xbf};
  if (byte < 0xf4) return {4};
  if (byte == 0xf4) return {4, 0x80, 0x8f};
  return {0};
}

}  // namespace

Utf8Step DecodeUtf8(std::string_view text, size_t position) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[position + i]); };
  const Lead lead = LeadOf(byte(0));
  if (lead.length == 1) return {byte(0), 1, Utf8Step::Kind::kCharacter};
  if (lead.length == 0) return {kReplacement, 1, Utf8Step::Kind::kInvalid};

  char32_t code_point = byte(0) & (0x7f >> lead.length);
  for (uint8_t i = 1; i < lead.length; ++i) {
    if (position + i == text.size()) return {kReplacement, i, Utf8Step::Kind::kTruncated};
    const uint8_t min = i == 1 ? lead.second_min : 0x80;
    const uint8_t max = i == 1 ? lead.second_max : 0xbf;
    if (byte(i) < min || byte(i) > max) return {kReplacement, i, Utf8Step::Kind::kInvalid};
    code_point = code_point << 6 | (byte(i) & 0x3f);
  }
  return {code_point, lead.length, Utf8Step::Kind::kCharacter};
}

void AppendUtf8(char32_t code_point, std::string& text) {
  const auto append = [&](char32_t byte) { text.push_back(static_cast<char>(byte)); };
  const auto append_tail = [&](int shift) { append(0x80 | (code_point >> shift & 0x3f)); };
  if (code_point < 0x80) {
    append(code_point);
  } else if (code_point < 0x800) {
    append(0xc0 | code_point >> 6);
    append_tail(0);
  } else if (code_point < 0x10000) {
    append(0xe0 | code_point >> 12);
    append_tail(6);
    append_tail(0);
  } else {
    append(0xf0 | code_point >> 18);
    append_tail(12);
    append_tail(6);
    append_tail(0);
  }
}

}  // namespace forge
