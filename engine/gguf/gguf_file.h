#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/gguf/checked_file.h"
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
  uint64_t offset_bytes = 0;  // from the start of the file, see GgufFile
  uint64_t size_bytes = 0;
  uint64_t info_offset_bytes = 0;  // of its directory entry, for messages

  uint64_t row_elements() const { return shape[0]; }
  uint64_t n_rows() const { return shape[1] * shape[2] * shape[3]; }
};

struct GgufHeader;

// Reads a GGUF file, version 2 or 3, that may be hostile; or the files that one model is split into
// (MODEL-00001-of-00003.gguf), as if they were one.
//
// Keeps the files open and maps nothing: data is read with pread, so that a file truncated or
// replaced while it is used gives an error (kDataLoss) and never a signal. Holds no more memory
// than the files have bytes, plus a constant for each key and tensor. Interprets no metadata beyond
// general.alignment and split.*. Tensor types that the engine has no format for are accepted: see
// FindFormat.
//
// Of a split model the metadata is the first file's, and offsets count through all files in order.
//
// Errors carry reason MODEL_FILE_INVALID or MODEL_FILE_TRUNCATED and details "field", "value" and
// "offsetBytes". docs/gguf.md lists the limits and every check.
// Thread-safe after construction.
class GgufFile {
 public:
  // Opens and checks the header, and with one shard all others. kNotFound (reason MODEL_NOT_FOUND)
  // if there is no such file or a shard is missing, kInvalidArgument if it is no regular file,
  // malformed, or a shard does not belong to the others, kDataLoss if it ends too early, kAborted
  // (reason MODEL_FILE_CHANGED) if it was written to meanwhile, kPermissionDenied or kUnavailable
  // (reason MODEL_FILE_UNREADABLE) if it cannot be opened. Never waits for a writer.
  static Result<std::unique_ptr<GgufFile>> Open(const std::string& path);
  // The same on an open descriptor, which it takes over. `path` is for messages. kInvalidArgument
  // for a shard, since the others cannot be found.
  static Result<std::unique_ptr<GgufFile>> FromDescriptor(int descriptor, std::string path);

  GgufFile(const GgufFile&) = delete;
  GgufFile& operator=(const GgufFile&) = delete;

  // Of the first file.
  const std::string& path() const { return files_.front().file.path(); }
  uint64_t size_bytes() const { return size_bytes_; }  // of all files
  uint32_t version() const { return version_; }
  const GgufMetadata& metadata() const { return metadata_; }
  // In the order of the files.
  const std::vector<GgufTensor>& tensors() const { return tensors_; }
  // nullptr if absent.
  const GgufTensor* FindTensor(std::string_view name) const;

  // Reads exactly destination.size() bytes at `offset_bytes`, all of one file. Blocks. kDataLoss if
  // the file has become shorter; kAborted (reason MODEL_FILE_CHANGED) if its size or modification
  // time differ from those at Open.
  Status ReadAt(uint64_t offset_bytes, std::span<std::byte> destination) const;
  // kAborted (reason MODEL_FILE_CHANGED) if a file was written to since Open, or if the path it was
  // opened by now names another file; FromDescriptor knows no path to look at. A file that was only
  // deleted stays readable and counts as unchanged.
  Status CheckUnchanged() const;

 private:
  struct Part {
    CheckedFile file;
    uint64_t start;  // of its bytes among those of all files
  };
  GgufFile() = default;
  // Adds one file after the others.
  Status AddFile(CheckedFile file, GgufHeader header);
  // Adds the file and all shards that belong to it.
  Status AddShards(CheckedFile opened, GgufHeader header);

  // Constant after construction.
  std::vector<Part> files_;  // at least one
  uint64_t size_bytes_ = 0;
  uint32_t version_ = 0;
  GgufMetadata metadata_;
  std::vector<GgufTensor> tensors_;
  std::map<std::string_view, size_t> tensor_by_name_;  // views into tensors_
};

}  // namespace forge
