#pragma once

#include <cstdlib>
#include <filesystem>

// Finds the conformance data: $FORGE_CONFORMANCE_DIR, else the folder configured in the build.
namespace forge::testing {

inline std::filesystem::path ConformanceDir() {
  if (const char* dir = std::getenv("FORGE_CONFORMANCE_DIR")) return dir;
  return FORGE_CONFORMANCE_DEFAULT_DIR;
}

inline bool HasConformanceDir() { return std::filesystem::is_directory(ConformanceDir()); }

}  // namespace forge::testing

// Skips the test where the data is absent; under CI that is a failure.
#define FORGE_NEEDS_CONFORMANCE_DATA()                                                 \
  do {                                                                                 \
    if (!::forge::testing::HasConformanceDir()) {                                      \
      if (std::getenv("CI") != nullptr)                                                \
        FAIL() << "no conformance data at " << ::forge::testing::ConformanceDir();     \
      GTEST_SKIP() << "no conformance data at " << ::forge::testing::ConformanceDir(); \
    }                                                                                  \
  } while (false)
