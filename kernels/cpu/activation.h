#pragma once

#include <cstddef>
#include <cstdint>

namespace forge {

// Activations for quantised weights: blocks of 32 columns rounded to int8 with a float32 scale.
// Tokens are kept in tiles of up to kTileTokens. A tile of `kTokens` tokens
// is an array of these blocks along the columns, so that a kernel finds all its tokens at constant
// distances, and behind it an array of SecondDigits.
template <int kTokens>
struct ActivationBlock {
  int8_t codes[kTokens][32];               // in [-127, 127]
  float scale[kTokens];                    // value = scale * code
  float scaled_sum[kTokens];               // scale times the sum of the codes
  int32_t negative_sum[kTokens];           // minus the sum of the codes
  int32_t negative_half_sums[2][kTokens];  // of codes 0-15 and of codes 16-31
};

// What rounding left over, for formats that ask for it (kDigits of their PackLayout); undefined in
// tiles that no such format reads. Apart from the blocks, which most formats read alone and best
// without gaps. An instruction set may instead keep both digits joined here, in 16 bits.
template <int kTokens>
struct SecondDigits {
  int8_t digits[kTokens][64];     // 32 in [-127, 127]; value = scale * (code + digit / 254)
  int32_t negative_sum[kTokens];  // minus their sum
};

constexpr int kDigitsPerStep = 254;  // steps of the second digit in one of the first
constexpr float kDigitStep = 1.0f / kDigitsPerStep;

constexpr int kTileTokens = 8;
constexpr int kMaxTiles = 4;  // of kTileTokens, that a kernel takes at once
constexpr int kActivationBlockColumns = 32;

// Bytes per token and 32 columns.
constexpr int64_t kActivationBlockBytes = 52;
constexpr int64_t kSecondDigitBytes = 68;
constexpr int64_t kActivationBytes = kActivationBlockBytes + kSecondDigitBytes;
static_assert(sizeof(ActivationBlock<1>) == kActivationBlockBytes);
static_assert(sizeof(ActivationBlock<kTileTokens>) == kTileTokens * kActivationBlockBytes);
static_assert(sizeof(SecondDigits<kTileTokens>) == kTileTokens * kSecondDigitBytes);

// Tiles that follow each other, as kernels read them. Always inlined, as everything here: it is
// compiled once for each instruction set.
template <int kTokens>
class ActivationTiles {
 public:
  [[gnu::always_inline]] ActivationTiles(const std::byte* tiles, int64_t n_cols)
      : tiles_(tiles), n_blocks_(n_cols / kActivationBlockColumns) {}

  // Of 32 columns from 32 * i on.
  [[gnu::always_inline]] const ActivationBlock<kTokens>& Block(int tile, int64_t i) const {
    return reinterpret_cast<const ActivationBlock<kTokens>*>(Tile(tile))[i];
  }
  [[gnu::always_inline]] const SecondDigits<kTokens>& Digits(int tile, int64_t i) const {
    const std::byte* digits = Tile(tile) + n_blocks_ * kTokens * kActivationBlockBytes;
    return reinterpret_cast<const SecondDigits<kTokens>*>(digits)[i];
  }

 private:
  [[gnu::always_inline]] const std::byte* Tile(int tile) const {
    return tiles_ + tile * n_blocks_ * kTokens * kActivationBytes;
  }

  const std::byte* tiles_;
  int64_t n_blocks_;
};

// Rounds the 32 values at `x` into slot `token` of the block of `n_tokens` tokens at `block`, and
// if `digits` is not null what is left over into that slot of the SecondDigits there. A block with
// an infinity or NaN gets the scale NaN, so that it shows in the result.
[[gnu::always_inline]] inline void QuantizeActivationBlock(const float* x, int token, int n_tokens,
                                                           std::byte* block, std::byte* digits) {
  int32_t max_bits = 0;  // magnitudes of floats order as their bits do
  for (int i = 0; i < 32; ++i) {
    const int32_t bits = __builtin_bit_cast(int32_t, x[i]) & 0x7fffffff;
    max_bits = bits > max_bits ? bits : max_bits;
  }
  const float max = __builtin_bit_cast(float, max_bits);
  const bool is_finite = max_bits < 0x7f800000;
  const bool is_zero = max < 1e-30f;  // below, 127 / max could overflow
  const float scale = is_finite ? (is_zero ? 0.0f : max / 127.0f) : __builtin_nanf("");
  const float inverse = is_finite && !is_zero ? 127.0f / max : 0.0f;

  auto* codes = reinterpret_cast<int8_t*>(block) + 32 * token;
  int32_t sums[2] = {0, 0};
  for (int half = 0; half < 2; ++half) {
    for (int i = 16 * half; i < 16 * half + 16; ++i) {
      // Adding 1.5 * 2^23 leaves the nearest integer, ties to even, in the low mantissa bits.
      const float shifted = (is_finite ? x[i] : 0.0f) * inverse + 12582912.0f;
      const int32_t code = __builtin_bit_cast(int32_t, shifted) - 0x4b400000;
      codes[i] = static_cast<int8_t>(code);
      sums[half] += code;
    }
  }
  float* floats = reinterpret_cast<float*>(block + 32 * n_tokens);
  floats[token] = scale;
  floats[n_tokens + token] = scale * static_cast<float>(sums[0] + sums[1]);
  int32_t* ints = reinterpret_cast<int32_t*>(block + 40 * n_tokens);
  ints[token] = -sums[0] - sums[1];
  ints[n_tokens + token] = -sums[0];
  ints[2 * n_tokens + token] = -sums[1];
  if (digits == nullptr) return;
  auto* rests = reinterpret_cast<int8_t*>(digits) + 64 * token;
  int32_t rest_sum = 0;
  for (int i = 0; i < 32; ++i) {
    const float rest = (is_finite ? x[i] : 0.0f) * inverse - static_cast<float>(codes[i]);
    const float shifted = rest * static_cast<float>(kDigitsPerStep) + 12582912.0f;
    const int32_t digit = __builtin_bit_cast(int32_t, shifted) - 0x4b400000;
    rests[i] = static_cast<int8_t>(digit);
    rest_sum += digit;
  }
  reinterpret_cast<int32_t*>(digits + 64 * n_tokens)[token] = -rest_sum;
}

// Where the second digits of the tile of `n_tokens` tokens at `tile` are.
[[gnu::always_inline]] inline std::byte* SecondDigitsOf(std::byte* tile, int64_t n_cols,
                                                        int n_tokens) {
  return tile + n_cols / kActivationBlockColumns * n_tokens * kActivationBlockBytes;
}

// Rounds the n_cols values at `x` into slot `token` of the tile of `n_tokens` tokens at `tile`.
// REQUIRES: n_cols is a multiple of 32.
[[gnu::always_inline]] inline void QuantizeActivations(const float* x, int64_t n_cols, int token,
                                                       int n_tokens, bool has_digits,
                                                       std::byte* tile) {
  std::byte* digits = has_digits ? SecondDigitsOf(tile, n_cols, n_tokens) : nullptr;
  for (int64_t i = 0; i < n_cols; i += kActivationBlockColumns) {
    QuantizeActivationBlock(x + i, token, n_tokens, tile, digits);
    tile += n_tokens * kActivationBlockBytes;
    if (has_digits) digits += n_tokens * kSecondDigitBytes;
  }
}

// Copies the quantised token at `from`, a tile of one token, into slot `token` of the tile of
// `n_tokens` tokens at `tile`.
[[gnu::always_inline]] inline void CopyActivations(const std::byte* from, int64_t n_cols, int token,
                                                   int n_tokens, bool has_digits, std::byte* tile) {
  // Each field is an array over the tokens: its offset in a struct of one token, times n_tokens,
  // is its offset in theirs.
  const auto copy = [&](int offset, int size) {
    __builtin_memcpy(tile + offset * n_tokens + size * token, from + offset,
                     static_cast<size_t>(size));
  };
  for (int64_t i = 0; i < n_cols; i += kActivationBlockColumns) {
    copy(0, 32);                                                      // codes
    for (int offset = 32; offset < 52; offset += 4) copy(offset, 4);  // scales and sums
    from += kActivationBlockBytes;
    tile += n_tokens * kActivationBlockBytes;
  }
  if (!has_digits) return;  // else both are where the second digits begin
  for (int64_t i = 0; i < n_cols; i += kActivationBlockColumns) {
    copy(0, 64);
    copy(64, 4);
    from += kSecondDigitBytes;
    tile += n_tokens * kSecondDigitBytes;
  }
}

}  // namespace forge
