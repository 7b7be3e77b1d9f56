#include "daemon/config/listen_address.h"

#include <fmt/format.h>
#include <sys/un.h>

#include <boost/asio/ip/address.hpp>
#include <charconv>

namespace forge {
namespace {

constexpr std::string_view kUnixScheme = "unix:";

std::optional<ListenAddress> ParseUnix(std::string_view rest) {
  if (rest.substr(0, 2) == "//") rest.remove_prefix(2);
  // The kernel's limit counts the terminating NUL.
  if (rest.empty() || rest.front() != '/' || rest.size() >= sizeof(sockaddr_un::sun_path)) {
    return std::nullopt;
  }
  if (rest.find('\0') != std::string_view::npos || rest.back() == '/') return std::nullopt;
  ListenAddress address;
  address.path = rest;
  return address;
}

std::optional<uint16_t> ParsePort(std::string_view text) {
  uint16_t port = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || rest != text.data() + text.size()) return std::nullopt;
  return port;
}

}  // namespace

std::string ListenAddress::ToString() const {
  if (kind == Kind::kUnix) return fmt::format("unix://{}", path);
  const bool is_v6 = host.find(':') != std::string::npos;
  return is_v6 ? fmt::format("[{}]:{}", host, port) : fmt::format("{}:{}", host, port);
}

std::optional<ListenAddress> ParseListenAddress(std::string_view text) {
  if (text.substr(0, kUnixScheme.size()) == kUnixScheme) {
    return ParseUnix(text.substr(kUnixScheme.size()));
  }
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const std::optional<uint16_t> port = ParsePort(text.substr(colon + 1));
  std::string_view host = text.substr(0, colon);
  if (!port || host.empty()) return std::nullopt;
  if (host == "localhost") host = "127.0.0.1";
  const bool has_brackets = host.front() == '[' && host.back() == ']';
  if (has_brackets) host = host.substr(1, host.size() - 2);
  boost::system::error_code error;
  const auto ip = boost::asio::ip::make_address(std::string(host), error);
  if (error || !ip.is_loopback() || ip.is_v6() != has_brackets) return std::nullopt;
  ListenAddress address;
  address.kind = ListenAddress::Kind::kTcp;
  address.host = ip.to_string();
  address.port = *port;
  return address;
}

}  // namespace forge
