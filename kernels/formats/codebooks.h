#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace forge {

// The vectors of weights that an index of an IQ1, IQ2 or IQ3 format stands for, fixed by the
// format.
template <size_t kElements, size_t kEntries>
struct Codebook {
  alignas(64) std::array<std::array<int8_t, kElements>, kEntries> entries;
};

// Magnitudes; the signs come from elsewhere.
extern const Codebook<8, 256> kIq2XxsCodebook;
extern const Codebook<8, 512> kIq2XsCodebook;
extern const Codebook<8, 1024> kIq2SCodebook;
extern const Codebook<4, 256> kIq3XxsCodebook;
extern const Codebook<4, 512> kIq3SCodebook;
// Eight times -1, 0 and 1, so that the offset of an eighth that IQ1_S and IQ1_M add is an integer.
extern const Codebook<8, 2048> kIq1Codebook;

// A codebook as words of 16 bits, few enough for vector registers: element k of an entry is
// levels[field k of its word], a field being 16 / kElements bits wide. Plain arrays, because
// sources for one instruction set must not call functions of std::array.
template <size_t kElements, size_t kEntries>
struct CodebookWords {
  alignas(64) uint16_t words[kEntries];
  int8_t levels[kElements == 8 ? 3 : 8];
};

extern const CodebookWords<8, 256> kIq2XxsWords;
extern const CodebookWords<8, 512> kIq2XsWords;
extern const CodebookWords<4, 256> kIq3XxsWords;
extern const CodebookWords<4, 512> kIq3SWords;

}  // namespace forge
