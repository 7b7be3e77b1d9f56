#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/gguf/gguf_metadata.h"
#include "kernels/base/result.h"
#include "kernels/formats/format.h"

namespace forge {

// One tensor of a GGUF file. `shape[0]` is the length of a row (contiguous elements).
struct GgufTensor {
  std::string name;
  DType dtype;
  int n_dims = 0;
  std::array<uint64_t, 4> shape = {1, 1, 1, 1};
  uint64_t offset_bytes = 0;  // from the start of the file
  uint64_t size_bytes = 0;
  uint64_t info_offset_bytes = 0;  // of its directory entry, for messages

  uint64_t row_elements() const { return shape[0]; }
  uint64_t n_rows() const { return shape[1] * shape[2] * shape[3]; }
};

// Reads a GGUF file, version 2 or 3, that may be hostile.
//
// Keeps the file open and maps nothing: data is read with pread, so that a file truncated or
// replaced while it is used gives an error (kDataLoss) and never a signal. Holds no more memory
// than the file has bytes, plus a constant for each key and tensor. Interprets no metadata beyond
// general.alignment and split.count. Tensor types that the engine has no format for are accepted:
// see FindFormat.
//
// Errors carry reason MODEL_FILE_INVALID or MODEL_FILE_TRUNCATED and details "field", "value" and
// "offsetBytes". docs/gguf.md lists the limits and every check.
// Thread-safe after construction.
class GgufFile {
 public:
  // Opens and checks the header. kNotFound (reason MODEL_NOT_FOUND) if there is no such file,
  // kInvalidArgument if it is no regular file or malformed, kDataLoss if it ends too early,
  // kAborted (reason MODEL_FILE_CHANGED) if it was written to meanwhile, kUnimplemented (reason
  // ARCHITECTURE_UNSUPPORTED) if it is one shard of several, kPermissionDenied or kUnavailable
  // (reason MODEL_FILE_UNREADABLE) if it cannot be opened. Never waits for a writer.
  static Result<std::unique_ptr<GgufFile>> Open(const std::string& path);
  // The same on an open descriptor, which it takes over. `path` is for messages.
  static Result<std::unique_ptr<GgufFile>> FromDescriptor(int descriptor, std::string path);

  ~GgufFile();
  GgufFile(const GgufFile&) = delete;
  GgufFile& operator=(const GgufFile&) = delete;

  const std::string& path() const { return path_; }
  uint64_t size_bytes() const { return size_bytes_; }
  uint32_t version() const { return version_; }
  const GgufMetadata& metadata() const { return metadata_; }
  const std::vector<GgufTensor>& tensors() const { return tensors_; }
  // nullptr if absent.
  const GgufTensor* FindTensor(std::string_view name) const;

  // Reads exactly destination.size() bytes at `offset_bytes`. Blocks. kDataLoss if the file has
  // become shorter; kAborted (reason MODEL_FILE_CHANGED) if its size or modification time differ
  // from those at Open.
  Status ReadAt(uint64_t offset_bytes, std::span<std::byte> destination) const;
  // kAborted (reason MODEL_FILE_CHANGED) if the file was written to since Open, or if the path
  // given to Open now names another file; FromDescriptor knows no path to look at. A file that was
  // only deleted stays readable and counts as unchanged.
  Status CheckUnchanged() const;

 private:
  struct Identity {
    uint64_t device = 0, inode = 0, size_bytes = 0;
    int64_t modified_ns = 0;
  };
  GgufFile(int descriptor, std::string path, Identity identity);

  // Constant after construction.
  int descriptor_;
  std::string path_;
  Identity identity_;
  bool path_is_checked_ = false;
  uint64_t size_bytes_ = 0;
  uint32_t version_ = 0;
  GgufMetadata metadata_;
  std::vector<GgufTensor> tensors_;
  std::unordered_map<std::string_view, size_t> tensor_by_name_;  // views into tensors_
};

}  // namespace forge
