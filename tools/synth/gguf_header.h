#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/formats/format.h"

namespace forge {

// A tensor of a file to be written.
struct GgufTensorEntry {
  std::string name;
  std::vector<uint64_t> extents;  // row length first
  const FormatInfo* format = nullptr;
  uint64_t offset_bytes = 0;  // from the start of the data; set by GgufHeaderWriter::Finish

  uint64_t n_elements() const;
  uint64_t size_bytes() const {
    return n_elements() / format->block_elements * format->block_bytes;
  }
};

// Lays out the header of a GGUF file of version 3: metadata, then the directory of its tensors.
// docs/gguf.md names the specification. Not thread-safe.
class GgufHeaderWriter {
 public:
  static constexpr uint64_t kAlignment = 32;

  void Add(std::string_view key, uint32_t value);
  void Add(std::string_view key, float value);
  void Add(std::string_view key, bool value);
  void Add(std::string_view key, std::string_view value);
  void Add(std::string_view key, const char* value) { Add(key, std::string_view(value)); }
  void Add(std::string_view key, std::span<const int32_t> values);
  void Add(std::string_view key, std::span<const std::string> values);
  void Add(std::string_view key, const std::vector<bool>& values);

  // Places the tensors' data one after another and returns the header, padded to where the data
  // starts.
  std::string Finish(std::span<GgufTensorEntry> tensors);

 private:
  void AddKey(std::string_view key, uint32_t type);

  std::string metadata_;
  uint64_t n_keys_ = 0;
};

// `bytes` rounded up to the alignment of tensor data.
uint64_t AlignedSize(uint64_t bytes);

}  // namespace forge
