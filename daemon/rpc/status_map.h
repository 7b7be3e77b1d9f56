#pragma once

#include <grpcpp/support/status.h>

#include <string>
#include <string_view>

#include "kernels/base/status.h"

namespace forge {

inline constexpr std::string_view kErrorDomain = "forge.local";

// Turns a Status into what goes over the wire; the only place that does. An error carries a
// google.rpc.Status with one ErrorInfo (reason, domain, details as metadata); RetryInfo where
// trying again may help; BadRequest for kInvalidArgument with a detail "field".
//
// Texts are made valid UTF-8 and cut so that the whole fits the 8 KiB of metadata that gRPC clients
// accept.
grpc::Status ToGrpc(const Status& status);
// The reason in the ErrorInfo of what ToGrpc made; empty if there is none.
std::string ReasonOf(const grpc::Status& status);

}  // namespace forge
