#include "client/failure.h"

#include <google/rpc/error_details.pb.h>
#include <google/rpc/status.pb.h>

#include <string_view>

namespace forge::client {

namespace {

// The reason that the daemon gave; empty if the status did not come from one.
std::string FindReason(const grpc::Status& status) {
  google::rpc::Status details;
  if (!details.ParseFromString(status.error_details())) return {};
  for (const google::protobuf::Any& detail : details.details()) {
    google::rpc::ErrorInfo info;
    if (detail.UnpackTo(&info)) return info.reason();
  }
  return {};
}

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
      return ExitCode::kUsage;
    case grpc::StatusCode::UNAUTHENTICATED:
      return ExitCode::kPermission;
    case grpc::StatusCode::DEADLINE_EXCEEDED:
      return ExitCode::kDeadline;
    default:
      return ExitCode::kFailed;
  }
}

}  // namespace

grpc::Status EndedWithoutAnswer() {
  return grpc::Status(grpc::StatusCode::INTERNAL,
                      "the daemon ended the stream without an answer; its log may say why");
}

Failure ExplainFailure(const grpc::Status& status, const std::string& address) {
  Failure failure;
  failure.reason = FindReason(status);
  // gRPC itself reports a missing daemon as UNAVAILABLE; the daemon's own answers have a reason.
  if (status.error_code() == grpc::StatusCode::UNAVAILABLE && failure.reason.empty()) {
    failure.exit_code = ExitCode::kUnreachable;
    failure.message = "no daemon answers at " + address +
                      ": start it with 'systemctl start forged', or name another address with "
                      "--address or FORGE_ADDRESS";
    if (status.error_message().find("ermission denied") != std::string::npos) {
      failure.exit_code = ExitCode::kPermission;
      failure.message = "no permission to use " + address +
                        ": join the group 'forge' with 'adduser USER forge' and log in again";
    }
    return failure;
  }
  failure.exit_code = FindExitCode(status.error_code(), failure.reason);
  failure.message = status.error_message();
  if (failure.message.empty())  // gRPC's own, as for a daemon that does not know the call
    failure.message = "the call failed with gRPC status " + std::to_string(status.error_code()) +
                      " and without a message; are forgectl and forged of one version?";
  return failure;
}

}  // namespace forge::client
