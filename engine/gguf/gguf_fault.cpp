#include "engine/gguf/gguf_fault.h"

#include <utility>

namespace forge {
namespace {

constexpr size_t kMaxShownBytes = 80;

Status Fault(StatusCode code, std::string_view reason, std::string_view rule,
             const GgufField& field) {
  return Status(code, std::string(rule) + ": " + field.name + " = " + field.value + " at byte " +
                          std::to_string(field.offset_bytes))
      .WithReason(reason)
      .WithDetail("field", field.name)
      .WithDetail("value", field.value)
      .WithDetail("offsetBytes", field.offset_bytes);
}

// Length of the well-formed UTF-8 character at the start of `text`, 0 if there is none (RFC 3629:
// no overlong forms, no surrogates, nothing above U+10FFFF).
size_t CharacterLength(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return 1;
  const size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i)
    if ((byte(i) & 0xc0) != 0x80) return 0;
  if (lead == 0xe0 && byte(1) < 0xa0) return 0;
  if (lead == 0xed && byte(1) >= 0xa0) return 0;
  if (lead == 0xf0 && byte(1) < 0x90) return 0;
  if (lead == 0xf4 && byte(1) >= 0x90) return 0;
  return length;
}

}  // namespace

Status InvalidField(std::string_view rule, const GgufField& field) {
  return Fault(StatusCode::kInvalidArgument, kModelFileInvalid, rule, field);
}

Status MissingField(std::string_view rule, std::string_view name) {
  const std::string field = EscapeText(name);
  return InvalidArgument(std::string(rule) + ": " + field + " is absent")
      .WithReason(kModelFileInvalid)
      .WithDetail("field", field)
      .WithDetail("value", "absent");
}

Status TruncatedField(std::string_view rule, const GgufField& field) {
  return Fault(StatusCode::kDataLoss, kModelFileTruncated, rule, field);
}

Status UnsupportedField(std::string_view rule, const GgufField& field) {
  return Fault(StatusCode::kUnimplemented, kArchitectureUnsupported, rule, field);
}

std::string EscapeText(std::string_view text) {
  constexpr char kHex[] = "0123456789abcdef";
  std::string escaped;
  for (const char c : text.substr(0, kMaxShownBytes)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7f && c != '\\') {
      escaped.push_back(c);
    } else {
      escaped += {'\\', 'x', kHex[byte >> 4], kHex[byte & 15]};
    }
  }
  if (text.size() > kMaxShownBytes) escaped += "...";
  return escaped;
}

std::string QuoteText(std::string_view text) {
  std::string quoted(1, '"');
  quoted += EscapeText(text);
  quoted += '"';
  return quoted;
}

std::string SanitizeText(std::string_view text, size_t max_bytes) {
  constexpr std::string_view kReplacement = "\xef\xbf\xbd";  // U+FFFD
  std::string clean;
  while (!text.empty()) {
    const size_t length = CharacterLength(text);
    std::string_view shown = length == 0 ? kReplacement : text.substr(0, length);
    const auto lead = static_cast<unsigned char>(text[0]);
    if (lead < 0x20 || lead == 0x7f) shown = " ";
    if (clean.size() + shown.size() > max_bytes) break;
    clean += shown;
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return clean;
}

}  // namespace forge
