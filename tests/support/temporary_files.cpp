#include "tests/support/temporary_files.h"

#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <system_error>

#include "kernels/base/check.h"

namespace forge::testing {

TempFile::TempFile(std::string_view contents, std::string_view suffix) {
  std::string name =
      (std::filesystem::temp_directory_path() / "forge-test-XXXXXX").string() + std::string(suffix);
  const int descriptor = mkstemps(name.data(), static_cast<int>(suffix.size()));
  FORGE_CHECK(descriptor >= 0, "cannot create a temporary file: " + name);
  close(descriptor);
  path_ = name;
  if (!contents.empty()) WriteFile(path_, contents);
}

TempFile::~TempFile() {
  std::error_code ignored;  // the test may have removed it
  if (!path_.empty()) std::filesystem::remove(path_, ignored);
}

TempDirectory::TempDirectory() {
  std::string pattern = (std::filesystem::temp_directory_path() / "forge-test-XXXXXX").string();
  FORGE_CHECK(mkdtemp(pattern.data()) != nullptr, "cannot create a directory: " + pattern);
  path_ = std::filesystem::canonical(pattern);
}

TempDirectory::~TempDirectory() {
  std::error_code ignored;  // nothing depends on it
  std::filesystem::remove_all(path_, ignored);
}

std::filesystem::path TempDirectory::WriteFile(const std::string& relative,
                                               std::string_view contents) const {
  const std::filesystem::path path = path_ / relative;
  std::filesystem::create_directories(path.parent_path());
  testing::WriteFile(path, contents);
  return path;
}

void WriteFile(const std::filesystem::path& path, std::string_view contents) {
  std::ofstream stream(path, std::ios::binary | std::ios::trunc);
  stream.write(contents.data(), static_cast<std::streamsize>(contents.size()));
  stream.close();
  FORGE_CHECK(stream.good(), "cannot write " + path.string());
}

}  // namespace forge::testing
