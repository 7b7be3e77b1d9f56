#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gateway/api_error.h"
#include "gateway/http/request.h"
#include "gateway/http/socket.h"

namespace forge::gateway {

// Writes the answer to one request: whole, or as a stream of events. Not thread-safe.
class Responder {
 public:
  using Headers = std::vector<std::pair<std::string, std::string>>;

  Responder(Socket& socket, const HttpRequest& request, std::chrono::milliseconds stall_limit);

  // How errors are written; OpenAI's way until it is set.
  void set_dialect(ApiDialect dialect) { dialect_ = dialect; }
  ApiDialect dialect() const { return dialect_; }

  // Goes with every answer, whole or not.
  void AddHeader(std::string name, std::string value);

  // Each is the only answer, and false where the client is gone.
  bool SendJson(int http_status, std::string_view json);
  bool SendError(const ApiError& error);
  bool SendNothing();  // 204

  // A stream of server-sent events: BeginStream, any number of writes, EndStream.
  bool BeginStream();
  bool WriteStream(std::string_view events);
  bool EndStream();

  bool has_begun() const { return has_begun_; }
  // The answer was whole, and another request may follow.
  bool keeps_alive() const { return is_whole_ && keep_alive_; }
  void Close() { keep_alive_ = false; }  // after this answer
  const Socket& socket() const { return socket_; }

 private:
  std::string Head(int http_status, const Headers& headers);
  bool Write(std::string_view bytes);

  Socket& socket_;
  const bool is_head_;
  const bool is_http_1_0_;
  const std::chrono::milliseconds stall_limit_;
  ApiDialect dialect_ = ApiDialect::kOpenAi;
  Headers headers_;
  bool keep_alive_;
  bool has_begun_ = false;
  bool is_whole_ = false;
  bool is_broken_ = false;  // a write failed
};

}  // namespace forge::gateway
