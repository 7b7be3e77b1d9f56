#pragma once

#include <string>

namespace forge::client {

// For CLI::Option::check: an error text, empty where the value is good. CLI11 itself takes "" as 0,
// and -1 as the largest unsigned number.

std::string IsNotEmpty(const std::string& value);
std::string IsUnsigned64(const std::string& value);

// A gRPC target: unix:///path, or HOST:PORT.
std::string IsAddress(const std::string& value);

}  // namespace forge::client
