#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "kernels/base/result.h"
#include "kernels/base/status.h"

namespace forge {

// "model file "path"", with the path escaped.
std::string NameOfModelFile(std::string_view path);

// An open regular file that notices when it is changed. Maps nothing: data is read with pread.
//
// Owns: the descriptor. Move-only. Thread-safe but for moving.
class CheckedFile {
 public:
  // kNotFound (reason MODEL_NOT_FOUND) if there is no such file, kInvalidArgument if it is no
  // regular file, kPermissionDenied or kUnavailable (reason MODEL_FILE_UNREADABLE) if it cannot be
  // opened. Never waits for a writer.
  static Result<CheckedFile> Open(const std::string& path);
  // The same on an open descriptor, which it takes over. `path` is for messages.
  static Result<CheckedFile> FromDescriptor(int descriptor, std::string path);

  ~CheckedFile();
  CheckedFile(CheckedFile&& other) noexcept;
  CheckedFile& operator=(CheckedFile&&) = delete;

  int descriptor() const { return descriptor_; }
  const std::string& path() const { return path_; }
  uint64_t size_bytes() const { return identity_.size_bytes; }

  // Reads exactly destination.size() bytes at `offset_bytes`. Blocks. kOutOfRange past the end,
  // kDataLoss if the file has become shorter, else as CheckUnchanged.
  Status ReadAt(uint64_t offset_bytes, std::span<std::byte> destination) const;
  // kAborted (reason MODEL_FILE_CHANGED) if the file was written to since it was opened, or if the
  // path given to Open now names another file. A file that was only deleted counts as unchanged.
  Status CheckUnchanged() const;

 private:
  struct Identity {
    uint64_t device = 0, inode = 0, size_bytes = 0;
    int64_t modified_ns = 0;
  };
  CheckedFile(int descriptor, std::string path, Identity identity);

  int descriptor_;  // -1 once moved from
  std::string path_;
  Identity identity_;
  bool path_is_checked_ = false;
};

}  // namespace forge
