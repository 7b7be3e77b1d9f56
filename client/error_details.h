#pragma once

#include <grpcpp/support/status.h>

#include <chrono>
#include <optional>
#include <string>

namespace forge::client {

// What the daemon says of an error beside its sentence; docs/protocol.md. Empty where gRPC itself
// made the status.
struct ErrorDetails {
  std::string reason;  // of google.rpc.ErrorInfo: "MODEL_NOT_FOUND"
  std::string field;   // of google.rpc.BadRequest: the field of the request that is at fault
  std::optional<std::chrono::milliseconds> retry_after;  // of google.rpc.RetryInfo
};

ErrorDetails ReadErrorDetails(const grpc::Status& status);

}  // namespace forge::client
