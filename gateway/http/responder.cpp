#include "gateway/http/responder.h"

#include <cstdio>

namespace forge::gateway {

namespace {

const char* Phrase(int http_status) {
  switch (http_status) {
    case 200:
      return "OK";
    case 204:
      return "No Content";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 413:
      return "Content Too Large";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 503:
      return "Service Unavailable";
    default:
      return "Internal Server Error";
  }
}

}  // namespace

Responder::Responder(Socket& socket, const HttpRequest& request,
                     std::chrono::milliseconds stall_limit)
    : socket_(socket),
      is_head_(request.method == "HEAD"),
      is_http_1_0_(request.is_http_1_0),
      stall_limit_(stall_limit),
      keep_alive_(request.keep_alive) {}

void Responder::AddHeader(std::string name, std::string value) {
  headers_.emplace_back(std::move(name), std::move(value));
}

bool Responder::SendJson(int http_status, std::string_view json) {
  std::string answer = Head(http_status, {{"Content-Type", "application/json"},
                                          {"Content-Length", std::to_string(json.size())}});
  if (!is_head_) answer += json;
  return is_whole_ = Write(answer);
}

bool Responder::SendError(const ApiError& error) {
  if (error.retry_after) AddHeader("Retry-After", std::to_string(error.retry_after->count()));
  if (error.http_status == 401) AddHeader("WWW-Authenticate", "Bearer");
  return SendJson(error.http_status, ToJson(error, dialect_));
}

bool Responder::SendNothing() { return is_whole_ = Write(Head(204, {})); }

bool Responder::BeginStream() {
  Headers headers = {{"Content-Type", "text/event-stream"}, {"Cache-Control", "no-cache"}};
  if (is_http_1_0_) {
    keep_alive_ = false;  // the end of the connection is that of the answer
  } else {
    headers.emplace_back("Transfer-Encoding", "chunked");
  }
  return Write(Head(200, headers));
}

bool Responder::WriteStream(std::string_view events) {
  if (events.empty()) return true;
  if (is_http_1_0_) return Write(events);
  char size[24];
  std::snprintf(size, sizeof(size), "%zx\r\n", events.size());
  std::string chunk = size;
  chunk += events;
  chunk += "\r\n";
  return Write(chunk);
}

bool Responder::EndStream() { return is_whole_ = is_http_1_0_ || Write("0\r\n\r\n"); }

std::string Responder::Head(int http_status, const Headers& headers) {
  std::string head = "HTTP/1.1 " + std::to_string(http_status) + " " + Phrase(http_status) + "\r\n";
  const auto add = [&head](const Headers& list) {
    for (const auto& [name, value] : list) head += name + ": " + value + "\r\n";
  };
  add(headers_);
  add(headers);
  head += keep_alive_ ? "Connection: keep-alive\r\n\r\n" : "Connection: close\r\n\r\n";
  has_begun_ = true;
  return head;
}

// After one that failed none is tried: each would wait for the client as long.
bool Responder::Write(std::string_view bytes) {
  is_broken_ = is_broken_ || !socket_.Write(bytes, stall_limit_);
  return !is_broken_;
}

}  // namespace forge::gateway
