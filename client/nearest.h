#pragma once

#include <string>
#include <vector>

namespace forge::client {

// The candidate that `name` was probably meant to be; empty if none is near.
std::string Nearest(const std::string& name, const std::vector<std::string>& candidates);

}  // namespace forge::client
