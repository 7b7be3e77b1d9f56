#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace forge::gateway {

// A request as it was sent: well-formed HTTP, and not checked for anything else.
struct HttpRequest {
  std::string method;                                        // "GET"
  std::string target;                                        // "/v1/models?limit=2"
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case
  std::string body;
  bool is_http_1_0 = false;
  bool keep_alive = false;        // the client wants to send more on the connection
  bool expects_continue = false;  // it sends the body once it is told to

  // The values of a header, whose name is given in lower case.
  std::vector<std::string_view> Values(std::string_view name) const {
    std::vector<std::string_view> values;
    for (const auto& [key, value] : headers) {
      if (key == name) values.push_back(value);
    }
    return values;
  }
};

}  // namespace forge::gateway
