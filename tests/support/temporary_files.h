#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

namespace forge::testing {

// Files and directories of a test. Their names are new each time: tests of one program run beside
// each other.

// Holds a file in the directory for temporary files and removes it when destroyed. Move-only.
class TempFile {
 public:
  explicit TempFile(std::string_view contents = {}, std::string_view suffix = ".gguf");
  ~TempFile();
  TempFile(TempFile&& other) noexcept : path_(std::move(other.path_)) { other.path_.clear(); }
  TempFile(const TempFile&) = delete;
  TempFile& operator=(const TempFile&) = delete;

  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

// A directory, by its canonical path; removed with what is in it.
class TempDirectory {
 public:
  TempDirectory();
  ~TempDirectory();
  TempDirectory(const TempDirectory&) = delete;
  TempDirectory& operator=(const TempDirectory&) = delete;

  const std::filesystem::path& path() const { return path_; }
  // Creates a file with its directories. Aborts when that fails.
  std::filesystem::path WriteFile(const std::string& relative, std::string_view contents) const;

 private:
  std::filesystem::path path_;
};

// Creates or overwrites a file. Aborts when that fails.
void WriteFile(const std::filesystem::path& path, std::string_view contents);

}  // namespace forge::testing
