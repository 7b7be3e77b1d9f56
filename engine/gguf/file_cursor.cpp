#include "engine/gguf/file_cursor.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>

#include "engine/gguf/gguf_fault.h"
#include "kernels/base/check.h"

namespace forge {

Status ReadFully(int descriptor, uint64_t offset_bytes, std::span<std::byte> destination) {
  while (!destination.empty()) {
    const ssize_t n =
        pread(descriptor, destination.data(), destination.size(), static_cast<off_t>(offset_bytes));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0)
      return DataLoss("reading the model file failed at byte " + std::to_string(offset_bytes) +
                      ": " + std::strerror(errno) + "; check the disk")
          .WithReason(kModelFileUnreadable)
          .WithDetail("offsetBytes", offset_bytes);
    if (n == 0)
      return TruncatedField(
          "the file became shorter while it was read; load it again when it is complete",
          {"data", std::to_string(destination.size()) + " bytes missing", offset_bytes});
    destination = destination.subspan(static_cast<size_t>(n));
    offset_bytes += static_cast<uint64_t>(n);
  }
  return Status();
}

Status FileCursor::Read(std::span<std::byte> destination) {
  FORGE_CHECK(destination.size() <= remaining(), "read past the end of a file");
  while (!destination.empty()) {
    const size_t position = static_cast<size_t>(offset_ - buffer_offset_);
    if (position == buffered_) {
      FORGE_TRY(Refill());
      continue;
    }
    const size_t n = std::min(destination.size(), buffered_ - position);
    std::memcpy(destination.data(), buffer_.data() + position, n);
    destination = destination.subspan(n);
    offset_ += n;
  }
  return Status();
}

void FileCursor::Seek(uint64_t offset) {
  FORGE_CHECK(offset <= size_bytes_, "seek past the end of a file");
  if (offset < buffer_offset_ || offset > buffer_offset_ + buffered_) {
    buffer_offset_ = offset;
    buffered_ = 0;
  }
  offset_ = offset;
}

Status FileCursor::Refill() {
  const size_t n = static_cast<size_t>(std::min<uint64_t>(buffer_.size(), remaining()));
  FORGE_TRY(ReadFully(descriptor_, offset_, std::span(buffer_).first(n)));
  buffer_offset_ = offset_;
  buffered_ = n;
  return Status();
}

}  // namespace forge
