#pragma once

#include <cstdint>
#include <cstring>

namespace forge {

// The eight 6-bit scales and eight 6-bit mins of a Q4_K or Q5_K block. In its 12 bytes the first
// four scales and mins fill the low six bits of bytes 0-3 and 4-7; of the last four, bytes 8-11
// hold the low nibbles (scale low, min high) and the spare upper bits of bytes 0-7 the rest.
struct KScales {
  uint8_t scales[8];
  uint8_t mins[8];
};

inline KScales UnpackKScales(const uint8_t (&packed)[12]) {
  // Four bytes at a time.
  uint32_t words[3];
  std::memcpy(words, packed, sizeof(words));
  const uint32_t scales[2] = {words[0] & 0x3f3f3f3fu,
                              (words[2] & 0x0f0f0f0fu) | (words[0] >> 2 & 0x30303030u)};
  const uint32_t mins[2] = {words[1] & 0x3f3f3f3fu,
                            (words[2] >> 4 & 0x0f0f0f0fu) | (words[1] >> 2 & 0x30303030u)};
  KScales result;
  std::memcpy(result.scales, scales, sizeof(scales));
  std::memcpy(result.mins, mins, sizeof(mins));
  return result;
}

}  // namespace forge
