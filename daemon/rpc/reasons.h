#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

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
// Of a call whose client left: an error that nobody is told.
inline constexpr std::string_view kClientGone = "CLIENT_GONE";
// What the ErrorInfo of an error may say that somebody is told: those, and the names of the codes.
std::vector<std::string> RejectionNames();

}  // namespace forge
