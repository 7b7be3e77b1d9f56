#include "client/failure.h"

#include <google/rpc/error_details.pb.h>
#include <google/rpc/status.pb.h>
#include <gtest/gtest.h>

namespace forge::client {
namespace {

constexpr char kAddress[] = "unix:///run/forge/forge.sock";

grpc::Status FromDaemon(grpc::StatusCode code, const std::string& reason) {
  google::rpc::ErrorInfo info;
  info.set_reason(reason);
  google::rpc::Status details;
  details.set_code(code);
  details.add_details()->PackFrom(info);
  return grpc::Status(code, "what the daemon said", details.SerializeAsString());
}

TEST(FailureTest, GivesEachSituationItsExitCode) {
  const struct {
    grpc::StatusCode code;
    const char* reason;
    ExitCode expected;
  } kCases[] = {
      {grpc::StatusCode::RESOURCE_EXHAUSTED, "GPU_BUDGET_EXCEEDED", ExitCode::kOutOfBudget},
      {grpc::StatusCode::RESOURCE_EXHAUSTED, "QUEUE_FULL", ExitCode::kFailed},
      {grpc::StatusCode::INVALID_ARGUMENT, "MODEL_FILE_INVALID", ExitCode::kModelFileInvalid},
      {grpc::StatusCode::DATA_LOSS, "MODEL_FILE_TRUNCATED", ExitCode::kModelFileInvalid},
      {grpc::StatusCode::ABORTED, "MODEL_FILE_CHANGED", ExitCode::kModelFileInvalid},
      {grpc::StatusCode::UNIMPLEMENTED, "ARCHITECTURE_UNSUPPORTED", ExitCode::kModelFileInvalid},
      {grpc::StatusCode::NOT_FOUND, "MODEL_NOT_FOUND", ExitCode::kNotFound},
      {grpc::StatusCode::PERMISSION_DENIED, "ADMIN_REQUIRED", ExitCode::kPermission},
      {grpc::StatusCode::PERMISSION_DENIED, "MODEL_FILE_UNREADABLE", ExitCode::kPermission},
      {grpc::StatusCode::RESOURCE_EXHAUSTED, "PINNED_MODELS_IN_THE_WAY", ExitCode::kOutOfBudget},
      {grpc::StatusCode::INVALID_ARGUMENT, "INVALID_REQUEST", ExitCode::kUsage},
      {grpc::StatusCode::UNAVAILABLE, "SHUTTING_DOWN", ExitCode::kFailed},
      {grpc::StatusCode::DEADLINE_EXCEEDED, "", ExitCode::kDeadline},
      {grpc::StatusCode::INTERNAL, "INTERNAL", ExitCode::kFailed},
  };
  for (const auto& test_case : kCases) {
    SCOPED_TRACE(test_case.reason);
    const Failure failure = ExplainFailure(FromDaemon(test_case.code, test_case.reason), kAddress);
    EXPECT_EQ(failure.exit_code, test_case.expected);
    EXPECT_EQ(failure.reason, test_case.reason);
    EXPECT_EQ(failure.message, "what the daemon said");
  }
}

TEST(FailureTest, SaysSomethingAboutAStatusWithoutMessage) {
  const Failure failure =
      ExplainFailure(grpc::Status(grpc::StatusCode::UNIMPLEMENTED, ""), kAddress);
  EXPECT_EQ(failure.exit_code, ExitCode::kFailed);
  EXPECT_NE(failure.message.find("gRPC status 12"), std::string::npos);
}

TEST(FailureTest, NamesTheAddressWhereNoDaemonAnswers) {
  const Failure failure = ExplainFailure(
      grpc::Status(grpc::StatusCode::UNAVAILABLE, "connect failed: No such file"), kAddress);
  EXPECT_EQ(failure.exit_code, ExitCode::kUnreachable);
  EXPECT_NE(failure.message.find(kAddress), std::string::npos);
}

TEST(FailureTest, TellsMissingPermissionFromAMissingDaemon) {
  const Failure failure = ExplainFailure(
      grpc::Status(grpc::StatusCode::UNAVAILABLE, "connect failed: Permission denied"), kAddress);
  EXPECT_EQ(failure.exit_code, ExitCode::kPermission);
  EXPECT_NE(failure.message.find("group 'forge'"), std::string::npos);
}

}  // namespace
}  // namespace forge::client
