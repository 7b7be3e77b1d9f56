#pragma once

#include <string>

namespace forge::client {

// Each gives an error text, empty where the value is good, as CLI::Option::check takes it. CLI11
// itself takes "" as 0, and -1 as the largest unsigned number.

std::string IsNotEmpty(const std::string& value);
std::string IsUnsigned64(const std::string& value);

// A gRPC target: unix:///path, or HOST:PORT.
std::string IsAddress(const std::string& value);

}  // namespace forge::client
