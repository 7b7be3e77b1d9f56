#pragma once

#include <cstdint>

#include "kernels/cpu/pack_layout.h"
#include "kernels/formats/codebooks.h"

namespace forge {

// Expands the codes of the formats of kernels/formats/expanded.h from the words of an
// ExpandedLayout to bytes, for every instruction set in one place. `Rows` are the operations on a
// vector with the words of some rows, RowsAvx2 or RowsAvx512; `first_row` is the first of them.
//
// Codes(block, s, first_row, quads) gives the eight quads of sub-block s, each to
//   quads.Put(q, codes), or to
//   quads.PutSigned<kZero>(q, magnitudes, signs, byte, bits): negative are those bytes of a lane
//     whose bit in `bits` is set in its byte `byte` of `signs`.
// Scales(block, first_row, scales) gives the scales of all sub-blocks. Always inlined, as
// everything that is compiled for one instruction set.
template <typename Rows, typename Layout>
struct ExpandCodes;

// Bits 7 .. 0 of each byte's sign for the first and the second four of eight weights.
constexpr uint32_t kSignsOfFirstQuad = 0x08040201;
constexpr uint32_t kSignsOfSecondQuad = 0x80402010;

template <typename Rows>
struct CodebookReader {
  using Words = typename Rows::Words;

  // Spreads four fields of seven signs to bytes and completes each to even parity.
  [[gnu::always_inline]] static Words SpreadSigns(Words packed) {
    Words signs = Rows::And(packed, 0x7fu);
    signs = Rows::Or(signs, Rows::Left(Rows::And(packed, 0x7fu << 7), 1));
    signs = Rows::Or(signs, Rows::Left(Rows::And(packed, 0x7fu << 14), 2));
    signs = Rows::Or(signs, Rows::Left(Rows::And(packed, 0x7fu << 21), 3));
    return WithParity(signs);
  }

  [[gnu::always_inline]] static Words WithParity(Words signs) {
    static constexpr uint8_t kParity[16] = {0,   128, 128, 0,   128, 0,   0,   128,
                                            128, 0,   0,   128, 0,   128, 128, 0};
    const Words folded = Rows::Xor(signs, Rows::Right(signs, 4));
    return Rows::Or(signs, Rows::Lookup(kParity, folded));
  }

  // Quads 2 * group and 2 * group + 1: magnitudes under the signs in byte `group` of `signs`.
  template <int kZero, typename Book, typename Quads>
  [[gnu::always_inline]] static void SignedEight(const Book& book, Words index, Words signs,
                                                 int group, Quads& quads) {
    Words magnitudes[2];
    Rows::GatherQuads(&book, index, magnitudes);
    quads.template PutSigned<kZero>(2 * group, magnitudes[0], signs, group, kSignsOfFirstQuad);
    quads.template PutSigned<kZero>(2 * group + 1, magnitudes[1], signs, group, kSignsOfSecondQuad);
  }

  // Two entries of eight magnitudes, whose indices are in the low and the high halves of `indices`:
  // quads 2 * group and 2 * group + 1 for each of the two groups, under the signs in that byte.
  template <int kZero, typename Book, typename BookWords, typename Quads>
  [[gnu::always_inline]] static void SignedEights(const Book& book, const BookWords& words,
                                                  Words indices, Words signs,
                                                  const int (&groups)[2], Quads& quads) {
    Words magnitudes[4];
    Rows::LookUp(book, words, indices, magnitudes);
#pragma GCC unroll 2
    for (int i = 0; i < 2; ++i) {
      const int g = groups[i];
      quads.template PutSigned<kZero>(2 * g, magnitudes[2 * i], signs, g, kSignsOfFirstQuad);
      quads.template PutSigned<kZero>(2 * g + 1, magnitudes[2 * i + 1], signs, g,
                                      kSignsOfSecondQuad);
    }
  }

  // Two entries of four magnitudes, whose indices are in the low and the high halves of `indices`:
  // quads q and q + 2.
  template <int kZero, typename Book, typename BookWords, typename Quads>
  [[gnu::always_inline]] static void SignedFours(const Book& book, const BookWords& words,
                                                 Words indices, Words signs, int q, Quads& quads) {
    Words magnitudes[2];
    Rows::LookUp(book, words, indices, magnitudes);
    const uint32_t bits = q % 2 == 0 ? kSignsOfFirstQuad : kSignsOfSecondQuad;
    quads.template PutSigned<kZero>(q, magnitudes[0], signs, q / 2, bits);
    quads.template PutSigned<kZero>(q + 2, magnitudes[1], signs, q / 2 + 1, bits);
  }

  // Quads 2 * group and 2 * group + 1 of weights in {-8, 0, 8}, with one added, or taken away where
  // `is_negative` is all ones.
  template <int kZero, typename Quads>
  [[gnu::always_inline]] static void OffsetEight(Words index, Words is_negative, int group,
                                                 Quads& quads) {
    Words values[2];
    Rows::GatherQuads(&kIq1Codebook, index, values);
    constexpr uint32_t kPlus = 0x01010101u * (kZero + 1);
    constexpr uint32_t kMinus = 0x01010101u * (kZero - 1);
    const Words zero = Rows::Xor(Rows::Set(kPlus), Rows::And(is_negative, kPlus ^ kMinus));
    quads.Put(2 * group, Rows::AddBytes(values[0], zero));
    quads.Put(2 * group + 1, Rows::AddBytes(values[1], zero));
  }

  // 2 * (bits n .. of `words`, as many as `mask` has) + 1
  [[gnu::always_inline]] static Words Odd(Words words, int n, uint32_t mask) {
    const Words value = Rows::And(Rows::Right(words, n), mask);
    return Rows::Or(Rows::Left(value, 1), Rows::Set(1));
  }
};

template <typename Rows>
struct ExpandCodes<Rows, PackLayout<IQ2_XXS>> {
  using Layout = PackLayout<IQ2_XXS>;
  using Reader = CodebookReader<Rows>;
  using Words = typename Rows::Words;

  template <typename Quads>
  [[gnu::always_inline]] static void Codes(const Layout::Block& block, int64_t s, int first_row,
                                           Quads& quads) {
    const Words indices = Rows::Load(block.words[2 * s] + first_row);
    const Words signs = Reader::SpreadSigns(Rows::Load(block.words[2 * s + 1] + first_row));
#pragma GCC unroll 2
    for (int g = 0; g < 2; ++g)
      Reader::template SignedEights<Layout::kZero>(
          kIq2XxsCodebook, kIq2XxsWords, Rows::And(Rows::Right(indices, 8 * g), 0x00ff00ffu), signs,
          {g, g + 2}, quads);
  }

  [[gnu::always_inline]] static void Scales(const Layout::Block& block, int first_row,
                                            typename Rows::Floats* scales) {
    const auto scale = Rows::Scale(Rows::LoadScale(block.scale + first_row), 0.125f);
#pragma GCC unroll 8
    for (int s = 0; s < 8; ++s)
      scales[s] =
          Rows::Scale(scale, Reader::Odd(Rows::Load(block.words[2 * s + 1] + first_row), 28, 15));
  }
};

// Of the formats whose bytes `kFirst` .. hold a 4-bit scale for each 16 weights.
template <typename Rows, int kFirst, typename Block>
[[gnu::always_inline]] inline void ExpandHalfScales(const Block& block, int first_row,
                                                    typename Rows::Floats* scales) {
  const auto scale = Rows::Scale(Rows::LoadScale(block.scale + first_row), 0.125f);
#pragma GCC unroll 16
  for (int i = 0; i < 16; ++i)
    scales[i] = Rows::Scale(
        scale, CodebookReader<Rows>::Odd(Rows::Load(block.words[kFirst + i / 8] + first_row),
                                         4 * (i % 8), 15));
}

template <typename Rows>
struct ExpandCodes<Rows, PackLayout<IQ2_XS>> {
  using Layout = PackLayout<IQ2_XS>;
  using Reader = CodebookReader<Rows>;
  using Words = typename Rows::Words;

  template <typename Quads>
  [[gnu::always_inline]] static void Codes(const Layout::Block& block, int64_t s, int first_row,
                                           Quads& quads) {
    const Words groups[2] = {Rows::Load(block.words[2 * s] + first_row),
                             Rows::Load(block.words[2 * s + 1] + first_row)};
    Words signs = Rows::And(Rows::Right(groups[0], 9), 0x7fu);
    signs = Rows::Or(signs, Rows::And(Rows::Right(groups[0], 17), 0x7f00u));
    signs = Rows::Or(signs, Rows::And(Rows::Left(groups[1], 7), 0x7f0000u));
    signs = Rows::Or(signs, Rows::And(Rows::Right(groups[1], 1), 0x7f000000u));
    signs = Reader::WithParity(signs);
#pragma GCC unroll 2
    for (int g = 0; g < 4; g += 2)
      Reader::template SignedEights<Layout::kZero>(kIq2XsCodebook, kIq2XsWords,
                                                   Rows::And(groups[g / 2], 0x01ff01ffu), signs,
                                                   {g, g + 1}, quads);
  }

  [[gnu::always_inline]] static void Scales(const Layout::Block& block, int first_row,
                                            typename Rows::Floats* scales) {
    ExpandHalfScales<Rows, 16>(block, first_row, scales);
  }
};

template <typename Rows>
struct ExpandCodes<Rows, PackLayout<IQ2_S>> {
  using Layout = PackLayout<IQ2_S>;
  using Reader = CodebookReader<Rows>;
  using Words = typename Rows::Words;

  template <typename Quads>
  [[gnu::always_inline]] static void Codes(const Layout::Block& block, int64_t s, int first_row,
                                           Quads& quads) {
    const Words indices = Rows::Load(block.words[s] + first_row);
    const Words signs = Rows::Load(block.words[8 + s] + first_row);
    const Words high =
        Rows::Right(Rows::Load(block.words[16 + s / 4] + first_row), static_cast<int>(s % 4) * 8);
#pragma GCC unroll 4
    for (int g = 0; g < 4; ++g) {
      const Words low = Rows::And(Rows::Right(indices, 8 * g), 255);
      const Words index = Rows::Or(low, Rows::And(Rows::Left(high, 8 - 2 * g), 3u << 8));
      Reader::template SignedEight<Layout::kZero>(kIq2SCodebook, index, signs, g, quads);
    }
  }

  [[gnu::always_inline]] static void Scales(const Layout::Block& block, int first_row,
                                            typename Rows::Floats* scales) {
    ExpandHalfScales<Rows, 18>(block, first_row, scales);
  }
};

template <typename Rows>
struct ExpandCodes<Rows, PackLayout<IQ3_XXS>> {
  using Layout = PackLayout<IQ3_XXS>;
  using Reader = CodebookReader<Rows>;
  using Words = typename Rows::Words;

  template <typename Quads>
  [[gnu::always_inline]] static void Codes(const Layout::Block& block, int64_t s, int first_row,
                                           Quads& quads) {
    const Words signs = Reader::SpreadSigns(Rows::Load(block.words[16 + s] + first_row));
    const Words indices[2] = {Rows::Load(block.words[2 * s] + first_row),
                              Rows::Load(block.words[2 * s + 1] + first_row)};
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i)
      Reader::template SignedFours<Layout::kZero>(
          kIq3XxsCodebook, kIq3XxsWords,
          Rows::And(Rows::Right(indices[i / 2], i % 2 * 8), 0x00ff00ffu), signs,
          4 * (i / 2) + i % 2, quads);
  }

  [[gnu::always_inline]] static void Scales(const Layout::Block& block, int first_row,
                                            typename Rows::Floats* scales) {
    const auto scale = Rows::Scale(Rows::LoadScale(block.scale + first_row), 0.25f);
#pragma GCC unroll 8
    for (int s = 0; s < 8; ++s)
      scales[s] =
          Rows::Scale(scale, Reader::Odd(Rows::Load(block.words[16 + s] + first_row), 28, 15));
  }
};

template <typename Rows>
struct ExpandCodes<Rows, PackLayout<IQ3_S>> {
  using Layout = PackLayout<IQ3_S>;
  using Reader = CodebookReader<Rows>;
  using Words = typename Rows::Words;

  template <typename Quads>
  [[gnu::always_inline]] static void Codes(const Layout::Block& block, int64_t s, int first_row,
                                           Quads& quads) {
    const Words signs = Rows::Load(block.words[18 + s] + first_row);
    const Words high =
        Rows::Right(Rows::Load(block.words[16 + s / 4] + first_row), static_cast<int>(s % 4) * 8);
    const Words indices[2] = {Rows::Load(block.words[2 * s] + first_row),
                              Rows::Load(block.words[2 * s + 1] + first_row)};
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      const int q = 4 * (i / 2) + i % 2;
      const Words low = Rows::And(Rows::Right(indices[i / 2], i % 2 * 8), 0x00ff00ffu);
      const Words first_ninth = Rows::And(Rows::Left(high, 8 - q), 1u << 8);
      const Words second_ninth = Rows::And(Rows::Left(high, 22 - q), 1u << 24);
      Reader::template SignedFours<Layout::kZero>(
          kIq3SCodebook, kIq3SWords, Rows::Or(Rows::Or(low, first_ninth), second_ninth), signs, q,
          quads);
    }
  }

  [[gnu::always_inline]] static void Scales(const Layout::Block& block, int first_row,
                                            typename Rows::Floats* scales) {
    const auto scale = Rows::LoadScale(block.scale + first_row);
    const Words factors = Rows::Load(block.words[26] + first_row);
#pragma GCC unroll 8
    for (int s = 0; s < 8; ++s) scales[s] = Rows::Scale(scale, Reader::Odd(factors, 4 * s, 15));
  }
};

template <typename Rows>
struct ExpandCodes<Rows, PackLayout<IQ1_S>> {
  using Layout = PackLayout<IQ1_S>;
  using Reader = CodebookReader<Rows>;
  using Words = typename Rows::Words;

  template <typename Quads>
  [[gnu::always_inline]] static void Codes(const Layout::Block& block, int64_t s, int first_row,
                                           Quads& quads) {
    const Words indices = Rows::Load(block.words[s] + first_row);
    const Words group =
        Rows::Right(Rows::Load(block.words[8 + s / 2] + first_row), static_cast<int>(s % 2) * 16);
    const Words is_negative = Rows::MaskOfBit(group, 15);
#pragma GCC unroll 4
    for (int g = 0; g < 4; ++g) {
      const Words low = Rows::And(Rows::Right(indices, 8 * g), 255);
      const Words high = Rows::And(Rows::Right(group, 3 * g), 7);
      Reader::template OffsetEight<Layout::kZero>(Rows::Or(low, Rows::Left(high, 8)), is_negative,
                                                  g, quads);
    }
  }

  [[gnu::always_inline]] static void Scales(const Layout::Block& block, int first_row,
                                            typename Rows::Floats* scales) {
    const auto scale = Rows::Scale(Rows::LoadScale(block.scale + first_row), 0.125f);
#pragma GCC unroll 8
    for (int s = 0; s < 8; ++s)
      scales[s] = Rows::Scale(
          scale, Reader::Odd(Rows::Load(block.words[8 + s / 2] + first_row), s % 2 * 16 + 12, 7));
  }
};

template <typename Rows>
struct ExpandCodes<Rows, PackLayout<IQ1_M>> {
  using Layout = PackLayout<IQ1_M>;
  using Reader = CodebookReader<Rows>;
  using Words = typename Rows::Words;

  template <typename Quads>
  [[gnu::always_inline]] static void Codes(const Layout::Block& block, int64_t s, int first_row,
                                           Quads& quads) {
    const Words indices = Rows::Load(block.words[s] + first_row);
    const Words nibbles =
        Rows::Right(Rows::Load(block.words[8 + s / 2] + first_row), static_cast<int>(s % 2) * 16);
#pragma GCC unroll 4
    for (int g = 0; g < 4; ++g) {
      const Words low = Rows::And(Rows::Right(indices, 8 * g), 255);
      const Words high = Rows::And(Rows::Right(nibbles, 4 * g), 7);
      Reader::template OffsetEight<Layout::kZero>(Rows::Or(low, Rows::Left(high, 8)),
                                                  Rows::MaskOfBit(nibbles, 4 * g + 3), g, quads);
    }
  }

  [[gnu::always_inline]] static void Scales(const Layout::Block& block, int first_row,
                                            typename Rows::Floats* scales) {
    const Words words[2] = {Rows::Load(block.words[12] + first_row),
                            Rows::Load(block.words[13] + first_row)};
    Words half = Rows::And(Rows::Right(words[0], 12), 0xfu);
    half = Rows::Or(half, Rows::And(Rows::Right(words[0], 24), 0xf0u));
    half = Rows::Or(half, Rows::And(Rows::Right(words[1], 4), 0xf00u));
    half = Rows::Or(half, Rows::And(Rows::Right(words[1], 16), 0xf000u));
    const auto scale = Rows::Scale(Rows::HalvesToFloats(half), 0.125f);
#pragma GCC unroll 16
    for (int i = 0; i < 16; ++i)
      scales[i] = Rows::Scale(scale, Reader::Odd(words[i / 8], i / 4 % 2 * 16 + i % 4 * 3, 7));
  }
};

template <typename Rows>
struct ExpandCodes<Rows, PackLayout<TQ1_0>> {
  using Layout = PackLayout<TQ1_0>;
  using Words = typename Rows::Words;

  template <typename Quads>
  [[gnu::always_inline]] static void Codes(const Layout::Block& block, int64_t s, int first_row,
                                           Quads& quads) {
    // Words 0-7 have a sub-block in each trit, 8-11 half a one, word 12 a quad.
    const auto put = [&](int q, int word, int64_t trit) __attribute__((always_inline)) {
      quads.Put(q, Rows::Trits(Rows::Load(block.words[word] + first_row), TQ1_0::kPowers[trit]));
    };
    if (s < 5) {
#pragma GCC unroll 8
      for (int q = 0; q < 8; ++q) put(q, q, s);
      return;
    }
#pragma GCC unroll 4
    for (int q = 0; q < 4; ++q) {
      put(q, 8 + q, 2 * (s - 5));
      if (s < 7) {
        put(4 + q, 8 + q, 2 * (s - 5) + 1);
      } else {
        put(4 + q, 12, q);
      }
    }
  }

  [[gnu::always_inline]] static void Scales(const Layout::Block& block, int first_row,
                                            typename Rows::Floats* scales) {
    const auto scale = Rows::LoadScale(block.scale + first_row);
#pragma GCC unroll 8
    for (int s = 0; s < 8; ++s) scales[s] = scale;
  }
};

}  // namespace forge
