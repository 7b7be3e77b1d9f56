#include "gateway/gateway.h"

#include <algorithm>
#include <cctype>
#include <exception>
#include <utility>

#include "gateway/endpoints/endpoints.h"

namespace forge::gateway {

namespace {

// A list of names of headers, and nothing else.
bool IsNameList(std::string_view text) {
  return std::ranges::all_of(text, [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '-' || c == '_' || c == ',' || c == ' ';
  });
}

// What a browser needs to give a page of another origin the answer. The origin was allowed by name.
void AddCors(const HttpRequest& request, Responder& responder) {
  const auto origins = request.Values("origin");
  if (origins.empty()) return;
  responder.AddHeader("Access-Control-Allow-Origin", std::string(origins[0]));
  responder.AddHeader("Vary", "Origin");
  responder.AddHeader("Access-Control-Expose-Headers", "Retry-After");
  if (request.method != "OPTIONS") return;
  responder.AddHeader("Access-Control-Allow-Methods", "GET, POST, OPTIONS");
  const auto names = request.Values("access-control-request-headers");
  const bool is_list = !names.empty() && IsNameList(names[0]);
  responder.AddHeader("Access-Control-Allow-Headers",
                      is_list ? std::string(names[0]) : "Authorization, Content-Type");
  responder.AddHeader("Access-Control-Max-Age", "600");
  // Chromium asks this for pages from the network about addresses of the machine.
  if (!request.Values("access-control-request-private-network").empty())
    responder.AddHeader("Access-Control-Allow-Private-Network", "true");
}

// The question of a browser whether it may send a request.
bool IsPreflight(const HttpRequest& request) {
  return request.method == "OPTIONS" && !request.Values("origin").empty();
}

// Anthropic's where the request is for one of its endpoints, or below them.
ApiDialect DialectOf(std::string_view target) {
  constexpr std::string_view kMessages = "/v1/messages";
  if (!target.starts_with(kMessages)) return ApiDialect::kOpenAi;
  const std::string_view rest = target.substr(kMessages.size());
  const bool is_whole_name = rest.empty() || rest.front() == '/' || rest.front() == '?';
  return is_whole_name ? ApiDialect::kAnthropic : ApiDialect::kOpenAi;
}

ApiError Unexpected(const std::exception& fault) {
  ApiError error;
  error.message = std::string("forge-gateway failed: ") + fault.what();
  return error;
}

}  // namespace

Gateway::Gateway(Access access, const std::string& daemon_address)
    : access_(std::move(access)), daemon_(daemon_address) {}

std::optional<ApiError> Gateway::Check(const HttpRequest& header, Responder& responder) {
  responder.set_dialect(DialectOf(header.target));
  if (auto error = access_.CheckSender(header)) return error;
  AddCors(header, responder);
  if (auto error = access_.CheckKey(header)) return error;
  if (IsPreflight(header)) return std::nullopt;
  const Route route = FindRoute(header);
  if (route.endpoint != nullptr) return std::nullopt;
  if (route.allowed_method != nullptr) responder.AddHeader("Allow", route.allowed_method);
  return route.error;
}

void Gateway::Handle(const HttpRequest& request, Responder& responder) {
  if (IsPreflight(request)) {
    responder.SendNothing();
    return;
  }
  const Exchange exchange = {request, responder, daemon_};
  const Route route = FindRoute(request);
  try {
    route.endpoint->answer(exchange, route.rest);
  } catch (const std::exception& fault) {  // no memory, for one
    SendError(exchange, Unexpected(fault));
  }
}

}  // namespace forge::gateway
