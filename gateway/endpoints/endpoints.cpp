#include "gateway/endpoints/endpoints.h"

#include <charconv>
#include <optional>

namespace forge::gateway {

namespace {

constexpr Endpoint kEndpoints[] = {
    {"GET", "/health", &AnswerHealth},
    {"GET", "/v1/models", &AnswerModels},
    {"GET", "/v1/models/", &AnswerModel},
    {"POST", "/v1/chat/completions", &AnswerChat},
    {"POST", "/v1/completions", &AnswerCompletion},
    {"POST", "/v1/embeddings", &AnswerEmbeddings},
    {"POST", "/v1/responses", &AnswerResponses},
    {"POST", "/v1/messages", &AnswerMessages},
    {"POST", "/v1/messages/count_tokens", &AnswerCountTokens},
};

// The text with %XX replaced; nullopt: it is malformed.
std::optional<std::string> Decode(std::string_view text) {
  std::string decoded;
  for (size_t i = 0; i < text.size(); ++i) {
    unsigned value = static_cast<unsigned char>(text[i]);
    if (text[i] == '%') {
      const char* const digits = text.data() + i + 1;
      if (text.size() - i < 3) return std::nullopt;
      const auto [rest, error] = std::from_chars(digits, digits + 2, value, 16);
      if (error != std::errc() || rest != digits + 2) return std::nullopt;
      i += 2;
    }
    decoded += static_cast<char>(value);
  }
  return decoded;
}

// What of the path is left behind the endpoint's; nullopt: it is another one.
std::optional<std::string> RestOf(std::string_view path, const Endpoint& endpoint) {
  const std::string_view own = endpoint.path;
  if (!own.ends_with('/')) {
    if (path != own && path != std::string(own) + "/") return std::nullopt;
    return std::string();
  }
  if (!path.starts_with(own) || path.size() == own.size()) return std::nullopt;
  return std::string(path.substr(own.size()));
}

std::string Names() {
  std::string names;
  for (const Endpoint& endpoint : kEndpoints) {
    if (!names.empty()) names += ", ";
    names += std::string(endpoint.method) + " " + endpoint.path;
    if (names.ends_with('/')) names += "MODEL";
  }
  return names;
}

Route NotFound(int http_status, const std::string& message) {
  Route route;
  route.error.http_status = http_status;
  route.error.message = message;
  route.error.code = http_status == 405 ? "method_not_allowed" : "unknown_url";
  return route;
}

}  // namespace

Route FindRoute(const HttpRequest& request) {
  const std::string_view target = request.target;
  const auto path = Decode(target.substr(0, target.find('?')));
  if (!path)
    return NotFound(400,
                    "the path of the request has a % that two hexadecimal digits do not follow");
  const char* other_method = nullptr;
  for (const Endpoint& endpoint : kEndpoints) {
    const auto rest = RestOf(*path, endpoint);
    if (!rest) continue;
    if (request.method == endpoint.method) return {&endpoint, *rest, {}, nullptr};
    other_method = endpoint.method;
  }
  if (other_method != nullptr) {
    Route route =
        NotFound(405, "this path takes " + std::string(other_method) + ", not " + request.method);
    route.allowed_method = other_method;
    return route;
  }
  return NotFound(404, "there is nothing at this path; there are " + Names());
}

}  // namespace forge::gateway
