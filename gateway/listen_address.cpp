#include "gateway/listen_address.h"

#include <charconv>

namespace forge::gateway {

namespace {

bool ParsePort(std::string_view text, uint16_t& port) {
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, port);
  return error == std::errc() && rest == end;
}

Status Refused(std::string_view text, const char* reason) {
  return InvalidArgument("'" + std::string(text) + "' " + reason +
                         "; use 127.0.0.1:PORT, localhost:PORT or [::1]:PORT");
}

}  // namespace

std::string ListenAddress::ToString() const {
  return (is_v6() ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

Result<ListenAddress> ParseListenAddress(std::string_view text) {
  const size_t colon = text.rfind(':');
  ListenAddress address;
  if (colon == std::string_view::npos || !ParsePort(text.substr(colon + 1), address.port))
    return Refused(text, "has no port from 0 to 65535");
  const std::string_view host = text.substr(0, colon);
  if (host == "127.0.0.1" || host == "localhost") return address;
  if (host != "[::1]")
    return Refused(text,
                   "is not on loopback: requests and answers are not encrypted, and whoever "
                   "reaches the port may use the models");
  address.host = "::1";
  return address;
}

}  // namespace forge::gateway
