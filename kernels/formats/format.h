#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace forge {

// Names a tensor's number format by its GGUF type id. The known values are those of the list in
// formats.h, as `Q8_0::kDType` and so on; any other value is an unsupported format.
enum class DType : uint32_t {};

// Describes one format at run time. A row of n elements takes n / block_elements * block_bytes.
struct FormatInfo {
  DType dtype;
  std::string_view name;    // as GGUF tools print it: "Q4_K"
  uint32_t block_elements;  // 1 for F32, F16 and BF16
  uint32_t block_bytes;
  // Expands whole blocks: source holds n_blocks * block_bytes, destination n_blocks *
  // block_elements. Exact: the float32 values that the format defines.
  void (*dequantize)(const std::byte* source, uint64_t n_blocks, float* destination);
};

// Every known format, in ascending order of its GGUF type id.
std::span<const FormatInfo> KnownFormats();

// nullptr if the id names no known format.
const FormatInfo* FindFormat(DType dtype);

}  // namespace forge
