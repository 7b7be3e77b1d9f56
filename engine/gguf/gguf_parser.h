#pragma once

#include <cstdint>
#include <vector>

#include "engine/gguf/file_cursor.h"
#include "engine/gguf/gguf_file.h"
#include "engine/gguf/gguf_metadata.h"
#include "kernels/base/result.h"

namespace forge {

// What the reader accepts at most; docs/gguf.md gives the sources.
struct GgufLimits {
  static constexpr uint64_t kTensors = 65536;
  static constexpr uint64_t kKeys = 65536;
  static constexpr uint64_t kKeyBytes = 65535;
  static constexpr uint64_t kTensorNameBytes = 63;
  static constexpr uint64_t kStringBytes = uint64_t{16} << 20;
  static constexpr uint64_t kArrayElements = uint64_t{64} << 20;
  static constexpr uint64_t kHeaderBytes = uint64_t{256} << 20;  // before the tensor data
  static constexpr uint32_t kDimensions = 4;
  static constexpr uint32_t kAlignment = 65536;
};

// Everything before the tensor data.
struct GgufHeader {
  uint32_t version = 0;
  GgufMetadata metadata;
  std::vector<GgufTensor> tensors;
};

// Parses and checks the header at the start of `cursor`, and that the tensor data fits the file.
// Errors as GgufFile::Open, without the file's name.
Result<GgufHeader> ParseGguf(FileCursor& cursor);

}  // namespace forge
