#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "kernels/base/status.h"

namespace forge {

// Reads exactly destination.size() bytes at `offset_bytes`; goes on after interrupted and short
// reads. kDataLoss (reason MODEL_FILE_TRUNCATED) if the file ends before, or if the device fails
// (reason MODEL_FILE_UNREADABLE). Blocks.
Status ReadFully(int descriptor, uint64_t offset_bytes, std::span<std::byte> destination);

// Reads a file from its start through a buffer, so that a header of a million small fields costs
// few system calls.
//
// Does not own the descriptor, and does not move its file position. Not thread-safe.
class FileCursor {
 public:
  FileCursor(int descriptor, uint64_t size_bytes)
      : descriptor_(descriptor), size_bytes_(size_bytes) {}

  uint64_t offset() const { return offset_; }
  uint64_t size_bytes() const { return size_bytes_; }
  uint64_t remaining() const { return size_bytes_ - offset_; }

  // As ReadFully. REQUIRES: destination.size() <= remaining().
  Status Read(std::span<std::byte> destination);
  // Goes to another byte of the file. REQUIRES: offset <= size_bytes().
  void Seek(uint64_t offset);

 private:
  Status Refill();

  const int descriptor_;
  const uint64_t size_bytes_;
  uint64_t offset_ = 0;         // of the next byte to hand out
  uint64_t buffer_offset_ = 0;  // of buffer_[0] in the file
  size_t buffered_ = 0;         // valid bytes in buffer_
  std::array<std::byte, 65536> buffer_;
};

}  // namespace forge
