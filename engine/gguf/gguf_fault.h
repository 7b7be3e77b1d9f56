#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "kernels/base/status.h"

// The errors of everything that reads model files: each says which rule was broken by which field,
// by which value, at which byte of the file.
namespace forge {

inline constexpr std::string_view kModelFileInvalid = "MODEL_FILE_INVALID";
inline constexpr std::string_view kModelFileTruncated = "MODEL_FILE_TRUNCATED";
inline constexpr std::string_view kModelFileChanged = "MODEL_FILE_CHANGED";
inline constexpr std::string_view kModelFileUnreadable = "MODEL_FILE_UNREADABLE";
inline constexpr std::string_view kModelNotFound = "MODEL_NOT_FOUND";
inline constexpr std::string_view kArchitectureUnsupported = "ARCHITECTURE_UNSUPPORTED";

// What a check looked at. Both texts are escaped already; they become the details "field",
// "value" and "offsetBytes" of a Status.
struct GgufField {
  std::string name;   // "llama.block_count", "blk.0.attn_q.weight (n_dims)"
  std::string value;  // as found
  uint64_t offset_bytes = 0;
};

// kInvalidArgument, reason MODEL_FILE_INVALID. `rule` says what is demanded.
Status InvalidField(std::string_view rule, const GgufField& field);
// The same for a key or tensor that is not there: value "absent", no offset.
Status MissingField(std::string_view rule, std::string_view name);
// kDataLoss, reason MODEL_FILE_TRUNCATED.
Status TruncatedField(std::string_view rule, const GgufField& field);
// kUnimplemented, reason ARCHITECTURE_UNSUPPORTED: well-formed, but beyond this engine.
Status UnsupportedField(std::string_view rule, const GgufField& field);

// Text from a file as printable ASCII: other bytes become \xNN, long texts end in "...".
std::string EscapeText(std::string_view text);
// The same between double quotes.
std::string QuoteText(std::string_view text);

// Text from a file as UTF-8 that is safe to show and to put into a protobuf string: bytes that are
// not UTF-8 become U+FFFD, control characters become spaces, and what is beyond `max_bytes` is cut
// off between characters.
std::string SanitizeText(std::string_view text, size_t max_bytes = 256);

}  // namespace forge
