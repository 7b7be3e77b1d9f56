#pragma once

#include <string>
#include <vector>

#include "gateway/listen_address.h"
#include "kernels/base/result.h"

namespace forge::gateway {

// What the command line asks for.
struct Options {
  ListenAddress listen;
  std::string daemon_address;
  std::vector<std::string> origins;
  std::vector<std::string> api_keys;
  size_t max_connections = 0;
  std::string text;  // to print, and nothing else to do: the help or the version
};

// kInvalidArgument where the line is wrong, or the file of keys that it names.
Result<Options> ParseOptions(int argc, const char* const* argv, const std::string& default_address);

}  // namespace forge::gateway
