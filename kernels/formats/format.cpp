#include "kernels/formats/format.h"

#include <array>
#include <cstring>
#include <tuple>
#include <utility>

#include "kernels/formats/formats.h"

namespace forge {
namespace {

template <typename Format>
void DequantizeBlocks(const std::byte* source, uint64_t n_blocks, float* destination) {
  for (uint64_t i = 0; i < n_blocks; ++i) {
    typename Format::Block block;  // a copy, because blocks in a file have no alignment
    std::memcpy(&block, source + i * sizeof(block), sizeof(block));
    Format::Dequantize(block, destination + i * Format::kBlockElements);
  }
}

template <typename Format>
constexpr FormatInfo MakeInfo() {
  return {Format::kDType, Format::kName, Format::kBlockElements, sizeof(typename Format::Block),
          DequantizeBlocks<Format>};
}

template <size_t... kIndex>
constexpr auto MakeTable(std::index_sequence<kIndex...>) {
  return std::array{MakeInfo<std::tuple_element_t<kIndex, Formats>>()...};
}

constexpr auto kTable = MakeTable(std::make_index_sequence<std::tuple_size_v<Formats>>());

constexpr bool IsAscending() {
  for (size_t i = 1; i < kTable.size(); ++i)
    if (kTable[i - 1].dtype >= kTable[i].dtype) return false;
  return true;
}
static_assert(IsAscending());

}  // namespace

std::span<const FormatInfo> KnownFormats() { return kTable; }

const FormatInfo* FindFormat(DType dtype) {
  for (const FormatInfo& format : kTable)
    if (format.dtype == dtype) return &format;
  return nullptr;
}

}  // namespace forge
