#include "kernels/base/check.h"

#include <cstdio>
#include <cstdlib>

namespace forge::internal {

void CheckFailed(std::string_view condition, std::string_view detail, const char* file, int line) {
  std::fprintf(stderr, "%s:%d: check failed: %.*s (%.*s)\n", file, line,
               static_cast<int>(condition.size()), condition.data(),
               static_cast<int>(detail.size()), detail.data());
  std::abort();
}

}  // namespace forge::internal
