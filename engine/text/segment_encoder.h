#pragma once

#include <string_view>
#include <vector>

#include "engine/text/tokenizer.h"

namespace forge {

// Turns a stretch of text without special tokens into ids: what differs between tokenizer models.
// Thread-safe: immutable.
class SegmentEncoder {
 public:
  virtual ~SegmentEncoder() = default;

  // Appends to `ids`. Accepts any bytes.
  virtual void Encode(std::string_view segment, std::vector<TokenId>& ids) const = 0;

 protected:
  // What is merged at once: longer pieces are cut, so that positions fit 32 bits.
  static constexpr size_t kMaxPieceBytes = size_t{1} << 28;
};

}  // namespace forge
