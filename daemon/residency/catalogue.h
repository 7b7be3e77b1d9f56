#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/base/result.h"

namespace forge {

// A model in a configured directory: a file, or the shards NAME-00001-of-00003.gguf of a split one.
struct ModelFile {
  std::string name;  // path below its directory, without ".gguf" and without the shard's number
  // Absolute, without symbolic links; of a split model its first shard, whose own name is kept even
  // if it is a link, because the names of the others follow from it.
  std::string path;
  uint64_t size_bytes = 0;                            // of all shards
  std::chrono::system_clock::time_point modify_time;  // the latest of all shards
};

// Finds model files in the configured directories, and refuses everything outside them.
//
// Keeps nothing: every call looks at the disk, and blocks on it. Thread-safe: immutable.
class Catalogue {
 public:
  // Deepest directory below a configured one that is searched, and the most files listed.
  static constexpr int kMaxDepth = 8;
  static constexpr size_t kMaxModels = 10'000;
  static constexpr size_t kMaxLeftOut = 100;

  // `directories` are absolute. One that does not exist holds nothing.
  explicit Catalogue(std::vector<std::string> directories);

  const std::vector<std::string>& directories() const { return directories_; }

  // Finds the file that `model` names: a name as List gives it, or a path inside a directory. The
  // path of any shard names the split model.
  // kInvalidArgument (reason MODEL_PATH_OUTSIDE) for a path that leaves the directories, through
  // "..", a symbolic link or otherwise; kInvalidArgument (reason MODEL_FILE_INVALID) for what is no
  // regular file; kNotFound (reason MODEL_NOT_FOUND) naming the directories, or the shard that is
  // missing; kFailedPrecondition (reason MODEL_NAME_AMBIGUOUS) for a path whose name means another
  // file, and for a name that is that of two split models.
  Result<ModelFile> Resolve(std::string_view model) const;

  // A file, or a directory, that was come upon and holds no model, or one that cannot be had.
  struct LeftOut {
    std::string path;
    std::string reason;  // a sentence
  };
  struct Listing {
    std::vector<ModelFile> models;  // sorted by name, each name once
    bool truncated = false;         // there are more than kMaxModels
    std::vector<LeftOut> left_out;  // kMaxLeftOut of them, sorted by path
    size_t n_left_out = 0;          // all of them
  };
  // All *.gguf files, a split model once. What cannot be read, does not begin as a GGUF file does,
  // is not complete or leaves the directories is left out.
  Listing List() const;

 private:
  Result<ModelFile> ResolveAbsolute(const std::filesystem::path& path) const;
  Result<ModelFile> ResolveName(const std::filesystem::path& relative) const;

  const std::vector<std::string> directories_;
};

}  // namespace forge
