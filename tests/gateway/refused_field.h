#pragma once

#include <string>

#include "kernels/base/result.h"

namespace forge::gateway {

// The field that a translation refused; empty: none.
template <typename Request>
std::string RefusedField(const Result<Request>& request) {
  if (request.ok()) return "";
  for (const auto& [key, value] : request.status().details()) {
    if (key == "field") return value;
  }
  return "none: " + std::string(request.status().message());
}

}  // namespace forge::gateway
