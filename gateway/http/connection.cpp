#include "gateway/http/connection.h"

#include <array>
#include <string>
#include <utility>

namespace forge::gateway {

namespace {

using State = RequestParser::State;
using Clock = Socket::Clock;

// Reads until the header, or the whole request, is there. False if it does not come: the connection
// ended, or the time is over.
bool ReadTo(State wanted, Socket& socket, const ConnectionLimits& limits, RequestParser& parser) {
  const auto reached = [&] { return parser.state() >= wanted; };
  parser.Feed({});
  const Clock::time_point begin = Clock::now();
  bool is_idle = wanted == State::kBody && !parser.has_begun();
  Clock::time_point deadline = begin + limits.body_timeout;
  if (wanted == State::kBody)
    deadline = begin + (is_idle ? limits.idle_timeout : limits.header_timeout);
  std::array<char, 65536> bytes;
  while (!reached()) {
    size_t n = 0;
    if (socket.Read(bytes.data(), bytes.size(), deadline, n) != Socket::ReadResult::kBytes)
      return false;
    if (std::exchange(is_idle, false)) deadline = Clock::now() + limits.header_timeout;
    parser.Feed({bytes.data(), n});
  }
  return true;
}

ApiError TooSlow(const ConnectionLimits& limits, State state) {
  const auto limit = state == State::kHeader ? limits.header_timeout : limits.body_timeout;
  ApiError error;
  error.http_status = 408;
  error.message = std::string(state == State::kHeader ? "the header" : "the body") +
                  " of the request did not come within " + std::to_string(limit.count()) + " ms";
  return error;
}

// Answers what is wrong with a request that was not read to its end.
void Refuse(const ApiError& error, Socket& socket, Responder& responder,
            const ConnectionLimits& limits) {
  responder.Close();
  if (responder.SendError(error)) socket.Linger(limits.linger);
}

// One request and its answer; false: the connection is over. `rest` are bytes of the next one.
bool ServeRequest(Socket& socket, const ConnectionLimits& limits, HttpHandler& handler,
                  const std::optional<ApiError>& surplus, std::string& rest) {
  RequestParser parser(limits.request, std::exchange(rest, {}));
  const bool has_header = ReadTo(State::kBody, socket, limits, parser);
  Responder responder(socket, parser.request(), limits.stall_timeout);
  const auto refuse = [&](const ApiError& error) {
    Refuse(error, socket, responder, limits);
    return false;
  };
  if (!has_header) return parser.has_begun() && refuse(TooSlow(limits, State::kHeader));
  if (surplus) return refuse(*surplus);
  const bool has_failed = parser.state() == State::kFailed;
  if (has_failed && parser.request().method.empty()) return refuse(parser.error());
  if (const auto error = handler.Check(parser.request(), responder)) return refuse(*error);
  if (has_failed) return refuse(parser.error());
  if (parser.state() == State::kBody && parser.request().expects_continue)
    socket.Write("HTTP/1.1 100 Continue\r\n\r\n", limits.stall_timeout);
  if (!ReadTo(State::kDone, socket, limits, parser)) return refuse(TooSlow(limits, State::kBody));
  if (parser.state() == State::kFailed) return refuse(parser.error());
  handler.Handle(parser.request(), responder);
  rest = parser.TakeRest();
  if (!responder.keeps_alive()) socket.Linger(limits.linger);
  return responder.keeps_alive();
}

}  // namespace

void ServeConnection(Socket& socket, const ConnectionLimits& limits, HttpHandler& handler,
                     const std::optional<ApiError>& surplus) {
  std::string rest;
  while (ServeRequest(socket, limits, handler, surplus, rest)) {
  }
}

}  // namespace forge::gateway
