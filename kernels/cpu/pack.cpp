#include "kernels/cpu/pack.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <string>
#include <utility>

#include "kernels/base/checked_math.h"
#include "kernels/cpu/pack_layout.h"

namespace forge {
namespace {

// The bytes of a code's quad, low column first, as one word.
uint32_t LoadQuad(const uint8_t* codes) {
  uint32_t quad;
  std::memcpy(&quad, codes, sizeof(quad));
  return quad;
}

void StoreQuad(uint32_t quad, int row, uint8_t* plane) {
  std::memcpy(plane + 4 * row, &quad, sizeof(quad));
}

// Each writes the 32 codes at `codes` into `row`. No code exceeds its bits, so that shifts of whole
// words keep bytes apart.
void PackNibbles(const uint8_t* codes, int row, uint8_t (&nibbles)[4][64]) {
  for (int q = 0; q < 4; ++q) {
    const uint32_t low = LoadQuad(codes + 4 * q) & 0x0f0f0f0fu;
    const uint32_t high = LoadQuad(codes + 4 * q + 16) & 0x0f0f0f0fu;
    StoreQuad(low | high << 4, row, nibbles[q]);
  }
}

// The low two bits of each code.
void PackPairs(const uint8_t* codes, int row, uint8_t (&pairs)[2][64]) {
  for (int half = 0; half < 2; ++half) {
    uint32_t bits = 0;
    for (int q = 0; q < 4; ++q)
      bits |= (LoadQuad(codes + 16 * half + 4 * q) & 0x03030303u) << (2 * q);
    StoreQuad(bits, row, pairs[half]);
  }
}

void PackCodes(const uint8_t* codes, int row, PackedCodes<2>& packed) {
  PackPairs(codes, row, packed.pairs);
}

void PackCodes(const uint8_t* codes, int row, PackedCodes<3>& packed) {
  PackPairs(codes, row, packed.pairs);
  uint32_t bits = 0;
  for (int q = 0; q < 8; ++q) bits |= (LoadQuad(codes + 4 * q) >> 2 & 0x01010101u) << q;
  StoreQuad(bits, row, packed.third_bits);
}

template <typename Table, int kBits>
void PackCodes(const uint8_t* indices, int row, PackedIndices<Table, kBits>& packed) {
  PackNibbles(indices, row, packed.nibbles);
}

void PackCodes(const uint8_t* codes, int row, PackedCodes<4>& packed) {
  PackNibbles(codes, row, packed.nibbles);
}

void PackCodes(const uint8_t* codes, int row, PackedCodes<5>& packed) {
  PackNibbles(codes, row, packed.nibbles);
  uint32_t bits = 0;
  for (int q = 0; q < 8; ++q) bits |= (LoadQuad(codes + 4 * q) >> 4 & 0x01010101u) << q;
  StoreQuad(bits, row, packed.fifth_bits);
}

void PackCodes(const uint8_t* codes, int row, PackedCodes<6>& packed) {
  PackNibbles(codes, row, packed.nibbles);
  for (int half = 0; half < 2; ++half) {
    uint32_t bits = 0;
    for (int q = 0; q < 4; ++q)
      bits |= (LoadQuad(codes + 16 * half + 4 * q) >> 4 & 0x03030303u) << (2 * q);
    StoreQuad(bits, row, packed.upper_bits[half]);
  }
}

void PackCodes(const uint8_t* codes, int row, PackedCodes<8>& packed) {
  for (int q = 0; q < 8; ++q) StoreQuad(LoadQuad(codes + 4 * q), row, packed.bytes[q]);
}

template <typename FileBlock>
void PackScales(const FileBlock& block, int row, PackedScales& packed) {
  packed.scale[row] = block.scale;
}

template <typename FileBlock>
void PackScales(const FileBlock& block, int row, PackedScalesAndOffsets& packed) {
  packed.scale[row] = block.scale;
  packed.offset[row] = block.offset;
}

template <typename FileBlock>
void PackScales(const FileBlock& block, int row, PackedExponents& packed) {
  packed.exponent[row] = block.exponent;
}

template <typename FileBlock>
void PackScales(const FileBlock& block, int row, PackedSharedScale& packed) {
  packed.scale[row] = block.scale;
}

template <typename FileBlock>
void PackScales(const FileBlock& block, int row, PackedSplitScales& packed) {
  uint32_t low = 0;
  for (int i = 0; i < 4; ++i) low |= static_cast<uint32_t>(block.scales_low[i]) << (8 * i);
  packed.low[row] = low;
  packed.high[row] = block.scales_high;
  packed.scale[row] = block.scale;
}

// Four values below 64, a byte each, in 24 bits.
uint64_t JoinSixBits(const uint8_t* values) {
  const uint32_t bytes = LoadQuad(values);
  const uint32_t pairs = (bytes & 0x003f003fu) | (bytes >> 2 & 0x0fc00fc0u);
  return (pairs & 0xfffu) | (pairs >> 4 & 0xfff000u);
}

// See PackedKScales.
void PackSixBits(const uint8_t (&values)[16], int row, uint32_t (&six_bit)[3][16]) {
  const uint64_t third = JoinSixBits(values + 8);
  const uint64_t low = JoinSixBits(values) | JoinSixBits(values + 4) << 24 | third << 48;
  const uint64_t high = third >> 16 | JoinSixBits(values + 12) << 8;  // the bits from 64 on
  const uint64_t words[3] = {low, low >> 30, low >> 60 | high << 4};
  for (int word = 0; word < 3; ++word)
    six_bit[word][row] =
        static_cast<uint32_t>((words[word] & 0x3fffffffu) | (high >> (26 + 2 * word) & 3) << 30);
}

template <typename FileBlock>
void PackScales(const FileBlock& block, int row, PackedKScales& packed) {
  const KScales sub = UnpackKScales(block.scales);
  uint8_t values[16];
  std::memcpy(values, sub.scales, sizeof(sub.scales));
  std::memcpy(values + 8, sub.mins, sizeof(sub.mins));
  PackSixBits(values, row, packed.six_bit);
  packed.scale[row] = block.scale;
  packed.min[row] = block.min;
}

template <typename FileBlock>
void PackScales(const FileBlock& block, int row, PackedHalfScales& packed) {
  for (int i = 0; i < 16; ++i) packed.sub[i][row] = block.scales[i];
  packed.scale[row] = block.scale;
}

void PackScales(const Q3_K::Block& block, int row, PackedSixBitHalfScales& packed) {
  uint8_t values[16];
  for (int i = 0; i < 16; ++i) values[i] = static_cast<uint8_t>(Q3_K::UnpackScale(block, i));
  PackSixBits(values, row, packed.six_bit);
  packed.scale[row] = block.scale;
}

template <typename FileBlock>
void PackScales(const FileBlock& block, int row, PackedHalfScalesAndMins& packed) {
  for (int i = 0; i < 16; ++i) packed.sub[i][row] = block.scales[i];
  packed.scale[row] = block.scale;
  packed.min[row] = block.min;
}

// What is packed of a block: its codes, or its indices into a table of codes.
template <typename Format>
void UnpackPacked(const typename Format::Block& block, uint8_t* codes) {
  if constexpr (requires { typename Format::Table; }) {
    Format::UnpackIndices(block, codes);
  } else {
    Format::Unpack(block, codes);
  }
}

template <typename Layout>
void PackWords(const typename Layout::FileBlock& block, int row, typename Layout::Block& packed) {
  const auto* bytes = reinterpret_cast<const std::byte*>(&block) + Layout::kFirstWord;
  for (int w = 0; w < Layout::kWords; ++w)
    std::memcpy(&packed.words[w][row], bytes + 4 * w, sizeof(uint32_t));
  if constexpr (Layout::kHasScale) packed.scale[row] = block.scale;
}

// Packs the n_rows <= 16 rows at `file_rows` into one group; the group's other rows become zero.
template <typename Format>
void PackGroup(const std::byte* file_rows, int64_t n_rows, int64_t n_cols, std::byte* group) {
  using Layout = PackLayout<Format>;
  using FileBlock = typename Format::Block;
  const int64_t n_blocks = n_cols / Format::kBlockElements;
  const int64_t row_bytes = n_blocks * static_cast<int64_t>(sizeof(FileBlock));
  auto* blocks = reinterpret_cast<typename Layout::Block*>(group);
  for (int64_t b = 0; b < n_blocks; ++b) {
    for (int row = 0; row < kCpuPackRows; ++row) {
      FileBlock block = {};
      if (row < n_rows)
        std::memcpy(&block, file_rows + row * row_bytes + b * static_cast<int64_t>(sizeof(block)),
                    sizeof(block));
      if constexpr (!Layout::kIsQuantized) {
        blocks[b].values[row] = block.value;
      } else if constexpr (Layout::kIsExpanded) {
        PackWords<Layout>(block, row, blocks[b]);
      } else {
        uint8_t codes[Format::kBlockElements];
        UnpackPacked<Format>(block, codes);
        for (int s = 0; s < Layout::kSubBlocks; ++s)
          PackCodes(codes + 32 * s, row, blocks[b].codes[s]);
        PackScales(block, row, blocks[b].scales);
      }
    }
  }
}

struct Packer {
  DType dtype;
  int64_t block_elements;
  int64_t block_bytes;  // in the file
  void (*pack_group)(const std::byte* file_rows, int64_t n_rows, int64_t n_cols, std::byte* group);
};

template <size_t... kIndex>
constexpr auto MakePackers(std::index_sequence<kIndex...>) {
  return std::array{Packer{std::tuple_element_t<kIndex, Formats>::kDType,
                           std::tuple_element_t<kIndex, Formats>::kBlockElements,
                           sizeof(typename std::tuple_element_t<kIndex, Formats>::Block),
                           PackGroup<std::tuple_element_t<kIndex, Formats>>}...};
}

constexpr auto kPackers = MakePackers(std::make_index_sequence<std::tuple_size_v<Formats>>());

// REQUIRES: `dtype` is a known format.
const Packer& PackerOf(DType dtype) {
  return *std::find_if(kPackers.begin(), kPackers.end(),
                       [dtype](const Packer& packer) { return packer.dtype == dtype; });
}

std::optional<uint64_t> PackedBytes(const Packer& packer, const WeightShape& shape) {
  const auto rows = CheckedAlignUp(static_cast<uint64_t>(shape.n_rows), kCpuPackRows);
  const uint64_t n_blocks = static_cast<uint64_t>(shape.n_cols / packer.block_elements);
  const auto row_bytes = CheckedMul(n_blocks, static_cast<uint64_t>(packer.block_bytes));
  if (!rows || !row_bytes) return std::nullopt;
  const auto bytes = CheckedMul(*rows, *row_bytes);
  return bytes ? CheckedAlignUp(*bytes, 64) : std::nullopt;
}

}  // namespace

Result<uint64_t> CpuPackedWeightBytes(const WeightShape& shape) {
  FORGE_TRY(Validate(shape));
  const std::optional<uint64_t> bytes = PackedBytes(PackerOf(shape.dtype), shape);
  // Kernels compute offsets with int64_t.
  if (bytes && *bytes <= static_cast<uint64_t>(INT64_MAX)) return *bytes;
  return InvalidArgument("weight matrix of " + std::to_string(shape.n_rows) + " rows x " +
                         std::to_string(shape.n_cols) + " columns takes more than 2^63 bytes");
}

Status CpuPackRows(const WeightShape& shape, int64_t first_row, int64_t n_rows,
                   const std::byte* file_rows, void* packed) {
  FORGE_TRY(CpuPackedWeightBytes(shape).status());
  const Packer& packer = PackerOf(shape.dtype);
  const bool is_inside = first_row >= 0 && n_rows >= 0 && first_row <= shape.n_rows &&
                         n_rows <= shape.n_rows - first_row;
  if (!is_inside || first_row % kCpuPackRows != 0 ||
      (n_rows % kCpuPackRows != 0 && first_row + n_rows != shape.n_rows))
    return InvalidArgument("rows " + std::to_string(first_row) + " + " + std::to_string(n_rows) +
                           " of " + std::to_string(shape.n_rows) +
                           ": pack whole groups of 16 rows, or up to the matrix's end");
  const int64_t row_bytes = shape.n_cols / packer.block_elements * packer.block_bytes;
  auto* matrix = static_cast<std::byte*>(packed);
  for (int64_t row = 0; row < n_rows; row += kCpuPackRows)
    packer.pack_group(file_rows + row * row_bytes, std::min(kCpuPackRows, n_rows - row),
                      shape.n_cols, matrix + (first_row + row) * row_bytes);
  return Status();
}

}  // namespace forge
