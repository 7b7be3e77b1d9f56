#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/grammar/char_set.h"

namespace forge {

struct ByteRange {
  uint8_t first = 0;
  uint8_t last = 0;  // inclusive
};

// Bytes of consecutive positions, each from its range.
struct ByteRangeSequence {
  ByteRange bytes[4];
  size_t size = 0;  // 1 to 4
};

// The UTF-8 encodings of a range of characters as sequences of byte ranges: each encoding is in
// exactly one sequence, and nothing else is in any. REQUIRES: no surrogates in the range.
std::vector<ByteRangeSequence> Utf8Ranges(CodePointRange range);

}  // namespace forge
