#pragma once

#include <cstdint>

namespace forge {

// The eight 6-bit scales and eight 6-bit mins of a Q4_K or Q5_K block. In its 12 bytes the first
// four scales and mins fill the low six bits of bytes 0-3 and 4-7; of the last four, bytes 8-11
// hold the low nibbles (scale low, min high) and the spare upper bits of bytes 0-7 the rest.
struct KScales {
  uint8_t scales[8];
  uint8_t mins[8];
};

inline KScales UnpackKScales(const uint8_t (&packed)[12]) {
  KScales result;
  for (int i = 0; i < 4; ++i) {
    result.scales[i] = packed[i] & 63;
    result.mins[i] = packed[i + 4] & 63;
    result.scales[i + 4] = static_cast<uint8_t>((packed[i + 8] & 15) | (packed[i] >> 6) << 4);
    result.mins[i + 4] = static_cast<uint8_t>((packed[i + 8] >> 4) | (packed[i + 4] >> 6) << 4);
  }
  return result;
}

}  // namespace forge
