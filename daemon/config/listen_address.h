#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace forge {

// Where the daemon listens: a Unix socket, or a loopback TCP port.
struct ListenAddress {
  enum class Kind { kUnix, kTcp };
  Kind kind = Kind::kUnix;
  std::string path;   // kUnix: absolute
  std::string host;   // kTcp: "127.0.0.1" or "::1"
  uint16_t port = 0;  // kTcp; 0: the system picks one

  // As it is written in configuration, and as gRPC clients take it.
  std::string ToString() const;
};

// Reads "unix:///path" or "host:port" with a loopback host ("localhost", 127.x.y.z, "[::1]").
// nullopt for anything else: other hosts are refused because connections are not encrypted.
std::optional<ListenAddress> ParseListenAddress(std::string_view text);

}  // namespace forge
