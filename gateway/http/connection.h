#pragma once

#include <chrono>
#include <optional>

#include "gateway/api_error.h"
#include "gateway/http/request_parser.h"
#include "gateway/http/responder.h"
#include "gateway/http/socket.h"

namespace forge::gateway {

// Answers requests. Thread-safe: connections call it each on their own thread.
class HttpHandler {
 public:
  virtual ~HttpHandler() = default;

  // Looks at a request before its body is read; an error is the answer. Adds to `responder` the
  // headers that every answer to this request needs.
  virtual std::optional<ApiError> Check(const HttpRequest& header, Responder& responder) = 0;
  // Answers a request that passed Check.
  virtual void Handle(const HttpRequest& request, Responder& responder) = 0;
};

struct ConnectionLimits {
  RequestParser::Limits request;
  std::chrono::milliseconds header_timeout = std::chrono::seconds(10);  // from its first byte
  std::chrono::milliseconds body_timeout = std::chrono::seconds(60);    // for all of it
  std::chrono::milliseconds idle_timeout = std::chrono::seconds(30);    // between two requests
  std::chrono::milliseconds stall_timeout = std::chrono::seconds(30);   // of a client that reads
  std::chrono::milliseconds linger = std::chrono::seconds(2);
};

// Serves the requests of a connection, one after another, until it ends. `surplus`: the answer to
// the first one, of a connection that is one too many.
void ServeConnection(Socket& socket, const ConnectionLimits& limits, HttpHandler& handler,
                     const std::optional<ApiError>& surplus);

}  // namespace forge::gateway
