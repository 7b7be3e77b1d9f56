#pragma once

#include <span>
#include <string_view>

#include "kernels/base/status.h"

namespace forge {

// A documented cause of an error, for programs to tell errors of one code apart.
struct Reason {
  std::string_view name;  // "MODEL_NOT_FOUND"
  StatusCode code;
};

// Every reason that the daemon or the engine gives, as docs/protocol.md lists them. An error
// without a reason of its own gets its code's name.
std::span<const Reason> Reasons();

}  // namespace forge
