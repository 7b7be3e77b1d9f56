#pragma once

#include <array>
#include <cstdint>

namespace forge {

// The sixteen values that the codes of IQ4_NL and IQ4_XS stand for, fixed by the format.
struct Iq4Values {
  static constexpr int kZero = 128;
  // 128 above the values -127 -104 -83 -65 -49 -35 -22 -10 1 13 25 38 53 69 89 113.
  static constexpr std::array<uint8_t, 16> kCodes = {1,   24,  45,  63,  79,  93,  106, 118,
                                                     129, 141, 153, 166, 181, 197, 217, 241};
};

}  // namespace forge
