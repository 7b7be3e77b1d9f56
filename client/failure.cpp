#include "client/failure.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <string_view>

#include "client/error_details.h"

namespace forge::client {

namespace {

ExitCode FindExitCode(grpc::StatusCode code, std::string_view reason) {
  if (reason == "GPU_BUDGET_EXCEEDED" || reason == "PINNED_MODELS_IN_THE_WAY")
    return ExitCode::kOutOfBudget;
  if (code == grpc::StatusCode::PERMISSION_DENIED) return ExitCode::kPermission;
  if (reason.starts_with("MODEL_FILE_")) return ExitCode::kModelFileInvalid;
  if (reason == "ARCHITECTURE_UNSUPPORTED") return ExitCode::kModelFileInvalid;
  switch (code) {
    case grpc::StatusCode::NOT_FOUND:
      return ExitCode::kNotFound;
    case grpc::StatusCode::INVALID_ARGUMENT:
    case grpc::StatusCode::OUT_OF_RANGE:
      return ExitCode::kUsage;
    case grpc::StatusCode::UNAUTHENTICATED:
      return ExitCode::kPermission;
    case grpc::StatusCode::DEADLINE_EXCEEDED:
      return ExitCode::kDeadline;
    default:
      return ExitCode::kFailed;
  }
}

// Whether somebody takes connections at a Unix socket.
bool TakesConnections(const std::string& address) {
  constexpr std::string_view kScheme = "unix:";
  if (!address.starts_with(kScheme)) return false;
  std::string_view path = std::string_view(address).substr(kScheme.size());
  if (path.starts_with("//")) path.remove_prefix(2);
  sockaddr_un name = {};
  name.sun_family = AF_UNIX;
  if (path.size() >= sizeof(name.sun_path)) return false;
  path.copy(name.sun_path, path.size());
  const int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return false;
  const bool takes =
      connect(descriptor, reinterpret_cast<const sockaddr*>(&name), sizeof(name)) == 0;
  close(descriptor);
  return takes;
}

// UNAVAILABLE, as gRPC itself reports it where there is no daemon.
Failure ExplainUnreachable(const grpc::Status& status, const std::string& address,
                           const std::string& address_flag) {
  const auto says = [&status](const char* text) {
    return status.error_message().find(text) != std::string::npos;
  };
  Failure failure;
  failure.exit_code = ExitCode::kUnreachable;
  if (says("ermission denied")) {
    failure.exit_code = ExitCode::kPermission;
    failure.message = "no permission to use " + address +
                      ": join the group 'forge' with 'adduser USER forge' and log in again";
    return failure;
  }
  if (!says("failed to connect"))  // there was a connection
    failure.message = "the connection to the daemon at " + address +
                      " broke before its answer was whole; its log says why";
  else if (TakesConnections(address))
    failure.message = "the daemon at " + address +
                      " closes new connections; it may have too many of this user, of whom it "
                      "takes 64: its log says why";
  else
    failure.message = "no daemon answers at " + address +
                      ": start it with 'systemctl start forged', or name another address with " +
                      address_flag + " or FORGE_ADDRESS";
  return failure;
}

}  // namespace

grpc::Status EndedWithoutAnswer() {
  return grpc::Status(grpc::StatusCode::INTERNAL,
                      "the daemon ended the stream without an answer; its log may say why");
}

Failure ExplainFailure(const grpc::Status& status, const std::string& address,
                       const std::string& address_flag) {
  Failure failure;
  failure.reason = ReadErrorDetails(status).reason;
  // gRPC itself reports a missing daemon as UNAVAILABLE; the daemon's own answers have a reason.
  if (status.error_code() == grpc::StatusCode::UNAVAILABLE && failure.reason.empty())
    return ExplainUnreachable(status, address, address_flag);
  failure.exit_code = FindExitCode(status.error_code(), failure.reason);
  failure.message = status.error_message();
  if (failure.message.find("larger than max") != std::string::npos && failure.reason.empty())
    failure.message +=
        "; the daemon takes no larger messages than limits.max_message in its "
        "configuration";
  if (failure.message.empty())  // gRPC's own, as for a daemon that does not know the call
    failure.message = "the call failed with gRPC status " + std::to_string(status.error_code()) +
                      " and without a message; are this program and forged of one version?";
  return failure;
}

}  // namespace forge::client
