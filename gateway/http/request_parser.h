#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "gateway/api_error.h"
#include "gateway/http/request.h"

namespace forge::gateway {

// Reads one HTTP/1 request of the bytes of a connection, however they are cut.
//
// Wraps Boost.Beast's parser, which no other file includes. Not thread-safe.
class RequestParser {
 public:
  struct Limits {
    size_t header_bytes = size_t{16} << 10;
    size_t body_bytes = size_t{8} << 20;
  };
  enum class State {
    kHeader,  // the header is not whole
    kBody,    // it is: request() has everything but the body
    kDone,
    // error() says why, and nothing more can be read of the connection. request() has the header
    // where it is the body that is at fault, else nothing.
    kFailed,
  };

  // `begin`: bytes that came already.
  RequestParser(const Limits& limits, std::string begin);
  ~RequestParser();

  // Takes bytes that came; empty: looks at what was left.
  State Feed(std::string_view bytes);
  State state() const { return state_; }
  // Once a byte of the request came; line breaks before it are none.
  bool has_begun() const { return has_begun_; }

  const HttpRequest& request() const { return request_; }
  const ApiError& error() const { return error_; }
  // The bytes behind the request, with which the next one begins. REQUIRES: kDone.
  std::string TakeRest() { return std::move(pending_); }

 private:
  struct Beast;

  State Fail(int http_status, const std::string& message);
  void ReadHeader();

  const Limits limits_;
  std::unique_ptr<Beast> beast_;
  std::string pending_;  // that the parser has not taken
  bool has_begun_ = false;
  State state_ = State::kHeader;
  HttpRequest request_;
  ApiError error_;
};

}  // namespace forge::gateway
