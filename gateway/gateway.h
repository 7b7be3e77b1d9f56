#pragma once

#include <string>
#include <vector>

#include "client/connection.h"
#include "gateway/access.h"
#include "gateway/http/connection.h"

namespace forge::gateway {

// Speaks OpenAI's and Anthropic's HTTP APIs for one daemon: checks who asks, finds the endpoint and
// has it answer. Keeps nothing between two requests. Thread-safe.
class Gateway final : public HttpHandler {
 public:
  // `daemon_address`: as client::Connection takes it.
  Gateway(Access access, const std::string& daemon_address);

  std::optional<ApiError> Check(const HttpRequest& header, Responder& responder) override;
  void Handle(const HttpRequest& request, Responder& responder) override;

 private:
  const Access access_;
  const client::Connection daemon_;
};

}  // namespace forge::gateway
