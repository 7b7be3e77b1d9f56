#pragma once

#include <string_view>

namespace forge::internal {

// Prints the failed condition with its place and aborts.
[[noreturn]] void CheckFailed(std::string_view condition, std::string_view detail, const char* file,
                              int line);

}  // namespace forge::internal

// Aborts when a broken invariant of this program is found. Faults of callers and of the outside
// world are a Status, never this.
#define FORGE_CHECK(condition, detail)                                          \
  do {                                                                          \
    if (!(condition)) [[unlikely]]                                              \
      ::forge::internal::CheckFailed(#condition, (detail), __FILE__, __LINE__); \
  } while (false)
