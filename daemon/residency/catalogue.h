#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/base/result.h"

namespace forge {

// A model file in a configured directory.
struct ModelFile {
  std::string name;  // path below its directory, without ".gguf"
  std::string path;  // absolute, without symbolic links
  uint64_t size_bytes = 0;
  std::chrono::system_clock::time_point modify_time;
};

// Finds model files in the configured directories, and refuses everything outside them.
//
// Keeps nothing: every call looks at the disk, and blocks on it. Thread-safe: immutable.
class Catalogue {
 public:
  // Deepest directory below a configured one that is searched, and the most files listed.
  static constexpr int kMaxDepth = 8;
  static constexpr size_t kMaxModels = 10'000;

  // `directories` are absolute. One that does not exist holds nothing.
  explicit Catalogue(std::vector<std::string> directories);

  const std::vector<std::string>& directories() const { return directories_; }

  // Finds the file that `model` names: a name as List gives it, or a path inside a directory.
  // kInvalidArgument (reason MODEL_PATH_OUTSIDE) for a path that leaves the directories, through
  // "..", a symbolic link or otherwise; kInvalidArgument (reason MODEL_FILE_INVALID) for what is no
  // regular file; kNotFound (reason MODEL_NOT_FOUND) naming the directories;
  // kFailedPrecondition (reason MODEL_NAME_AMBIGUOUS) for a path whose name means another file.
  Result<ModelFile> Resolve(std::string_view model) const;

  struct Listing {
    std::vector<ModelFile> models;  // sorted by name, each name once
    bool truncated = false;         // there are more than kMaxModels
  };
  // All *.gguf files. What cannot be read or leaves the directories is left out.
  Listing List() const;

 private:
  Result<ModelFile> ResolveAbsolute(const std::filesystem::path& path) const;
  Result<ModelFile> ResolveName(const std::filesystem::path& relative) const;

  const std::vector<std::string> directories_;
};

}  // namespace forge
