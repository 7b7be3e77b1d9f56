#include "client/commands/value_checks.h"

#include <charconv>
#include <cstdint>

namespace forge::client {

std::string IsNotEmpty(const std::string& value) {
  return value.empty() ? "must not be empty" : std::string();
}

std::string IsUnsigned64(const std::string& value) {
  uint64_t number = 0;
  const char* const end = value.data() + value.size();
  const auto [rest, error] = std::from_chars(value.data(), end, number);
  const bool is_valid = error == std::errc() && rest == end;
  return is_valid ? std::string() : "'" + value + "' is no number from 0 to 18446744073709551615";
}

std::string IsAddress(const std::string& value) {
  const bool is_valid = value.find(':') != std::string::npos && !value.starts_with("http://") &&
                        !value.starts_with("https://") && !value.starts_with('/');
  return is_valid ? std::string()
                  : "'" + value + "' is no address as unix:///run/forge/forge.sock or HOST:PORT";
}

}  // namespace forge::client
