#include "gateway/access.h"

#include <sys/stat.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <utility>

namespace forge::gateway {

namespace {

bool EqualsIgnoringCase(std::string_view a, std::string_view b) {
  return std::ranges::equal(
      a, b, [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

ApiError Forbidden(const std::string& message, const char* code) {
  ApiError error;
  error.http_status = 403;
  error.message = message;
  error.code = code;
  return error;
}

// Of a header's value, for a message: what a terminal or log would obey is left out.
std::string Quoted(std::string_view value) {
  constexpr size_t kMostShown = 100;
  std::string shown;
  for (const char c : value.substr(0, kMostShown)) {
    if (c >= ' ' && c <= '~') shown += c;
  }
  return "'" + shown + "'";
}

bool IsPort(std::string_view text) {
  return !text.empty() && text.size() <= 5 &&
         std::ranges::all_of(text, [](unsigned char c) { return std::isdigit(c) != 0; });
}

bool IsLoopbackName(std::string_view host) {
  for (const std::string_view name : {"localhost", "127.0.0.1", "[::1]"}) {
    if (host.size() < name.size() || !EqualsIgnoringCase(host.substr(0, name.size()), name))
      continue;
    const std::string_view rest = host.substr(name.size());
    if (rest.empty() || (rest.front() == ':' && IsPort(rest.substr(1)))) return true;
  }
  return false;
}

// Takes as long whatever the first difference is, so that a key cannot be found bit by bit.
bool IsSameKey(std::string_view a, std::string_view b) {
  unsigned difference = a.size() == b.size() ? 0 : 1;
  for (size_t i = 0; i < a.size(); ++i)
    difference |= static_cast<unsigned char>(a[i]) ^ static_cast<unsigned char>(b[i % b.size()]);
  return difference == 0;
}

}  // namespace

Access::Access(std::vector<std::string> origins, std::vector<std::string> keys)
    : origins_(std::move(origins)), keys_(std::move(keys)) {}

std::optional<ApiError> Access::CheckSender(const HttpRequest& request) const {
  if (auto error = CheckHost(request)) return error;
  return CheckOrigin(request);
}

std::optional<ApiError> Access::CheckHost(const HttpRequest& request) const {
  const auto hosts = request.Values("host");
  if (hosts.size() == 1 && IsLoopbackName(hosts[0])) return std::nullopt;
  if (hosts.size() == 1)
    return Forbidden("the request is for the host " + Quoted(hosts[0]) +
                         ", and forge-gateway is none but localhost, 127.0.0.1 and [::1]",
                     "host_not_allowed");
  return Forbidden("the request must have one Host header: localhost, 127.0.0.1 or [::1]",
                   "host_not_allowed");
}

std::optional<ApiError> Access::CheckOrigin(const HttpRequest& request) const {
  for (const std::string_view origin : request.Values("origin")) {
    const bool is_allowed = std::ranges::any_of(
        origins_, [&](const std::string& allowed) { return EqualsIgnoringCase(allowed, origin); });
    if (!is_allowed)
      return Forbidden("a web page of " + Quoted(origin) +
                           " sent this request; if that is yours, start forge-gateway with "
                           "--allow-origin " +
                           (IsOrigin(origin) ? std::string(origin) : "ORIGIN"),
                       "origin_not_allowed");
  }
  return std::nullopt;
}

std::optional<ApiError> Access::CheckKey(const HttpRequest& request) const {
  // A browser asks whether it may send a key without sending it.
  if (keys_.empty() || request.method == "OPTIONS") return std::nullopt;
  constexpr std::string_view kScheme = "Bearer ";
  bool is_known = false;
  const auto compare = [&](std::string_view given) {
    for (const std::string& key : keys_) is_known |= IsSameKey(given, key);
  };
  for (const std::string_view value : request.Values("x-api-key")) compare(value);
  for (const std::string_view value : request.Values("authorization")) {
    if (value.size() <= kScheme.size() ||
        !EqualsIgnoringCase(value.substr(0, kScheme.size()), kScheme))
      continue;
    compare(value.substr(kScheme.size()));
  }
  if (is_known) return std::nullopt;
  ApiError error;
  error.http_status = 401;
  error.message =
      "the request has no key of forge-gateway's --api-key-file: send one as 'Authorization: "
      "Bearer KEY' or 'x-api-key: KEY'";
  error.code = "invalid_api_key";
  return error;
}

bool IsOrigin(std::string_view text) {
  const size_t scheme = text.find("://");
  if (scheme == std::string_view::npos || scheme == 0) return false;
  const std::string_view host = text.substr(scheme + 3);
  const auto is_part = [](unsigned char c) {
    return std::isalnum(c) != 0 ||
           std::string_view("+.-_:[]").find(static_cast<char>(c)) != std::string_view::npos;
  };
  return !host.empty() && std::ranges::all_of(text.substr(0, scheme), is_part) &&
         std::ranges::all_of(host, is_part);
}

Result<std::vector<std::string>> ReadApiKeys(const std::string& path) {
  struct stat file = {};
  std::ifstream lines(path);
  if (!lines || stat(path.c_str(), &file) != 0)
    return InvalidArgument("cannot read '" + path + "': " + std::strerror(errno));
  if ((file.st_mode & S_IROTH) != 0)
    return InvalidArgument("'" + path + "' can be read by everybody: run 'chmod o= " + path + "'");
  std::vector<std::string> keys;
  for (std::string line; std::getline(lines, line);) {
    while (!line.empty() && std::isspace(static_cast<unsigned char>(line.back())) != 0)
      line.pop_back();
    if (!line.empty() && line.front() != '#') keys.push_back(line);
  }
  if (!keys.empty()) return keys;
  return InvalidArgument("'" + path + "' holds no key; write one a line");
}

}  // namespace forge::gateway
