#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/api_error.h"
#include "gateway/http/request.h"
#include "kernels/base/result.h"

namespace forge::gateway {

// Decides who may send requests.
//
// A web page may make its visitor's browser send requests to this machine: under a name of its own
// that its DNS server points to 127.0.0.1 (then `Host` is that name), or from its own address (then
// `Origin` is that address). Both are refused. Immutable, and so thread-safe.
class Access {
 public:
  // `origins`: those that are allowed, as IsOrigin takes them. `keys`: of which a request must have
  // one; none: any request will do, with a key or without.
  Access(std::vector<std::string> origins, std::vector<std::string> keys);

  // Why a request is refused; nullopt: it is not. The sender comes first: a page that may send
  // requests may also read that it has no key.
  std::optional<ApiError> CheckSender(const HttpRequest& request) const;
  std::optional<ApiError> CheckKey(const HttpRequest& request) const;

 private:
  std::optional<ApiError> CheckHost(const HttpRequest& request) const;
  std::optional<ApiError> CheckOrigin(const HttpRequest& request) const;

  const std::vector<std::string> origins_;
  const std::vector<std::string> keys_;
};

// Whether a text is an origin as browsers send it: "http://localhost:3000".
bool IsOrigin(std::string_view text);

// The keys in a file, one a line; empty lines and those that begin with # are left out. Fails where
// there is none, and where others than owner and group may read the file.
Result<std::vector<std::string>> ReadApiKeys(const std::string& path);

}  // namespace forge::gateway
