#pragma once

#include <netinet/in.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "kernels/base/result.h"

namespace forge::gateway {

// A loopback port.
struct ListenAddress {
  std::string host = "127.0.0.1";  // or "::1"
  uint16_t port = 0;               // 0: the system picks one

  bool is_v6() const { return host.find(':') != std::string::npos; }
  // "127.0.0.1:8080", "[::1]:8080"
  std::string ToString() const;
};

// Reads "127.0.0.1:8080", "localhost:8080" or "[::1]:8080". kInvalidArgument for anything else: the
// connections are not encrypted, so no other machine may have them.
Result<ListenAddress> ParseListenAddress(std::string_view text);

}  // namespace forge::gateway
