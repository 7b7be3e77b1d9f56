#include "kernels/formats/codebooks.h"

#include <algorithm>

#include "kernels/formats/codebook_tables.h"

namespace forge {
namespace {

// `packed` has kBits for each element, see codebook_tables::Expand.
template <size_t kElements, int kBits, size_t kWords, size_t kLevels>
constexpr auto MakeWords(const uint64_t (&packed)[kWords], const int8_t (&levels)[kLevels]) {
  CodebookWords<kElements, 4 * kWords> result = {};
  for (size_t i = 0; i < 4 * kWords; ++i) {
    const uint64_t indices = packed[i / 4] >> (16 * (i % 4));
    uint64_t word = 0;
    for (size_t k = 0; k < kElements; ++k)
      word |= (indices >> (static_cast<size_t>(kBits) * k) & ((1u << kBits) - 1))
              << (16 / kElements * k);
    result.words[i] = static_cast<uint16_t>(word);
  }
  std::copy_n(levels, kLevels, result.levels);
  return result;
}

}  // namespace

constinit const Codebook<8, 256> kIq2XxsCodebook = codebook_tables::Iq2Xxs();
constinit const Codebook<8, 512> kIq2XsCodebook = codebook_tables::Iq2Xs();
constinit const Codebook<8, 1024> kIq2SCodebook = codebook_tables::Iq2S();
constinit const Codebook<4, 256> kIq3XxsCodebook = codebook_tables::Iq3Xxs();
constinit const Codebook<4, 512> kIq3SCodebook = codebook_tables::Iq3S();
constinit const Codebook<8, 2048> kIq1Codebook = codebook_tables::Iq1();

constinit const CodebookWords<8, 256> kIq2XxsWords =
    MakeWords<8, 2>(codebook_tables::kIq2XxsPacked, codebook_tables::kIq2Levels);
constinit const CodebookWords<8, 512> kIq2XsWords =
    MakeWords<8, 2>(codebook_tables::kIq2XsPacked, codebook_tables::kIq2Levels);
constinit const CodebookWords<4, 256> kIq3XxsWords =
    MakeWords<4, 3>(codebook_tables::kIq3XxsPacked, codebook_tables::kIq3XxsLevels);
constinit const CodebookWords<4, 512> kIq3SWords =
    MakeWords<4, 3>(codebook_tables::kIq3SPacked, codebook_tables::kIq3SLevels);

}  // namespace forge
