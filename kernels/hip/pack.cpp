#include "kernels/hip/pack.h"

#include <array>
#include <cstring>
#include <optional>
#include <string>
#include <tuple>

#include "kernels/base/checked_math.h"
#include "kernels/hip/weight_layout.h"

namespace forge {
namespace {

void StoreWord(uint32_t word, std::byte* to) { std::memcpy(to, &word, sizeof(word)); }

// The codes of four adjacent columns, a byte each.
uint32_t LoadQuad(const uint8_t* codes) {
  uint32_t quad;
  std::memcpy(&quad, codes, sizeof(quad));
  return quad;
}

// Each writes the 32 codes of a part, of which it takes some bits from bit `shift` on.
void PackPairs(const uint8_t* codes, int shift, std::byte* to) {
  for (int half = 0; half < 2; ++half) {
    uint32_t word = 0;
    for (int r = 0; r < 4; ++r)
      word |= (LoadQuad(codes + 16 * half + 4 * r) >> shift & 0x03030303u) << (2 * r);
    StoreWord(word, to + 4 * half);
  }
}

void PackBits(const uint8_t* codes, int shift, std::byte* to) {
  uint32_t word = 0;
  for (int q = 0; q < 8; ++q) word |= (LoadQuad(codes + 4 * q) >> shift & 0x01010101u) << q;
  StoreWord(word, to);
}

void PackNibbles(const uint8_t* codes, std::byte* to) {
  for (int q = 0; q < 4; ++q) {
    const uint32_t low = LoadQuad(codes + 4 * q) & 0x0f0f0f0fu;
    const uint32_t high = LoadQuad(codes + 16 + 4 * q) & 0x0f0f0f0fu;
    StoreWord(low | high << 4, to + 4 * q);
  }
}

template <typename Layout>
void PackPart(const uint8_t* codes, int64_t part, int64_t n_parts, std::byte* row) {
  std::byte* to = row + part * Layout::kCodeBytes;
  std::byte* upper = row + Layout::UpperStart(n_parts) + part * Layout::kUpperBytes;
  if constexpr (Layout::kLowBits == 2) PackPairs(codes, 0, to);
  if constexpr (Layout::kLowBits == 4) PackNibbles(codes, to);
  if constexpr (Layout::kBits == 8) std::memcpy(to, codes, 32);
  if constexpr (Layout::kUpperBytes == 4) PackBits(codes, Layout::kLowBits, upper);
  if constexpr (Layout::kUpperBytes == 8) PackPairs(codes, Layout::kLowBits, upper);
}

// What goes into the plane of scales: the fields of the block that are no codes, in their order.
template <typename... Field>
void StoreFields(std::byte* to, const Field&... field) {
  ((std::memcpy(to, &field, sizeof(field)), to += sizeof(field)), ...);
}

template <typename Block>
void PackScales(const Block& block, std::byte* to) {
  StoreFields(to, block.scale);
}
void PackScales(const Q4_1::Block& block, std::byte* to) {
  StoreFields(to, block.scale, block.offset);
}
void PackScales(const Q5_1::Block& block, std::byte* to) {
  StoreFields(to, block.scale, block.offset);
}
void PackScales(const MXFP4::Block& block, std::byte* to) { StoreFields(to, block.exponent); }
void PackScales(const Q2_K::Block& block, std::byte* to) {
  StoreFields(to, block.scales, block.scale, block.min);
}
void PackScales(const Q3_K::Block& block, std::byte* to) {
  StoreFields(to, block.scales, block.scale);
}
void PackScales(const Q4_K::Block& block, std::byte* to) {
  StoreFields(to, block.scale, block.min, block.scales);
}
void PackScales(const Q5_K::Block& block, std::byte* to) {
  StoreFields(to, block.scale, block.min, block.scales);
}
void PackScales(const Q6_K::Block& block, std::byte* to) {
  StoreFields(to, block.scales, block.scale);
}
void PackScales(const IQ4_XS::Block& block, std::byte* to) {
  StoreFields(to, block.scale, block.scales_high, block.scales_low);
}

template <typename Format>
void PackBlock(const typename Format::Block& block, int64_t index, int64_t n_parts,
               std::byte* row) {
  using Layout = RowLayout<Format>;
  uint8_t codes[Format::kBlockElements];
  if constexpr (requires { typename Format::Table; }) {
    Format::UnpackIndices(block, codes);
  } else if constexpr (Layout::kBits == 8) {
    std::memcpy(codes, block.quants, sizeof(codes));  // signed already
  } else {
    Format::Unpack(block, codes);
  }
  constexpr int64_t kParts = Format::kBlockElements / 32;
  static_assert(kParts == Layout::kScaleParts);
  for (int64_t part = 0; part < kParts; ++part)
    PackPart<Layout>(codes + 32 * part, index * kParts + part, n_parts, row);
  PackScales(block, row + Layout::ScaleStart(n_parts) + index * Layout::kScaleBytes);
}

template <typename Format>
void PackRow(const std::byte* file_row, int64_t n_cols, std::byte* row) {
  using Layout = RowLayout<Format>;
  using Block = typename Format::Block;
  const auto used = static_cast<size_t>(Layout::UsedBytes(n_cols));
  std::memset(row + used, 0, static_cast<size_t>(PackedRowBytes<Format>(n_cols)) - used);
  if constexpr (Layout::kIsVerbatim) {
    std::memcpy(row, file_row, used);
  } else {
    for (int64_t i = 0; i < n_cols / Format::kBlockElements; ++i) {
      Block block;  // a copy, because blocks in a file have no alignment
      std::memcpy(&block, file_row + i * static_cast<int64_t>(sizeof(Block)), sizeof(Block));
      PackBlock<Format>(block, i, n_cols / 32, row);
    }
  }
}

// One row for each format.
struct Packer {
  DType dtype;
  int64_t (*row_bytes)(int64_t n_cols);
  void (*pack_row)(const std::byte* file_row, int64_t n_cols, std::byte* row);
};

template <typename... Format>
constexpr std::array<Packer, sizeof...(Format)> MakePackers(const std::tuple<Format...>*) {
  return {Packer{Format::kDType, PackedRowBytes<Format>, PackRow<Format>}...};
}

constexpr auto kPackers = MakePackers(static_cast<const Formats*>(nullptr));

// REQUIRES: the format is known.
const Packer& FindPacker(DType dtype) {
  size_t i = 0;
  while (kPackers[i].dtype != dtype) ++i;
  return kPackers[i];
}

}  // namespace

Result<uint64_t> HipPackedRowBytes(const WeightShape& shape) {
  FORGE_TRY(Validate(shape));
  // No format takes more than four bytes a weight.
  if (!CheckedMul(static_cast<uint64_t>(shape.n_cols), 4 * sizeof(float)))
    return InvalidArgument("weight: a row does not fit 64 bits: n_cols " +
                           std::to_string(shape.n_cols));
  return static_cast<uint64_t>(FindPacker(shape.dtype).row_bytes(shape.n_cols));
}

Result<uint64_t> HipPackedWeightBytes(const WeightShape& shape) {
  FORGE_ASSIGN_OR_RETURN(const uint64_t row_bytes, HipPackedRowBytes(shape));
  const auto bytes = CheckedMul(row_bytes, static_cast<uint64_t>(shape.n_rows));
  const auto aligned = bytes ? CheckedAlignUp(*bytes, 64) : bytes;
  if (!aligned)
    return InvalidArgument("weight: a matrix does not fit 64 bits: n_rows " +
                           std::to_string(shape.n_rows) + ", n_cols " +
                           std::to_string(shape.n_cols));
  return *aligned;
}

Status HipPackRows(const WeightShape& shape, int64_t n_rows, const std::byte* file_rows,
                   std::byte* packed_rows) {
  FORGE_ASSIGN_OR_RETURN(const uint64_t row_bytes, HipPackedRowBytes(shape));
  if (n_rows < 0 || n_rows > shape.n_rows)
    return InvalidArgument("weight: cannot pack " + std::to_string(n_rows) + " rows of " +
                           std::to_string(shape.n_rows));
  const FormatInfo& format = *FindFormat(shape.dtype);
  const int64_t file_bytes = shape.n_cols / format.block_elements * format.block_bytes;
  const Packer& packer = FindPacker(shape.dtype);
  for (int64_t row = 0; row < n_rows; ++row)
    packer.pack_row(file_rows + row * file_bytes, shape.n_cols,
                    packed_rows + row * static_cast<int64_t>(row_bytes));
  return Status();
}

}  // namespace forge
