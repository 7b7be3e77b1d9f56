#pragma once

#include <grpcpp/support/status.h>

#include <string>

namespace forge::client {

// Exit codes of forgectl; listed in its help and in docs/forgectl.md.
enum class ExitCode : int {
  kOk = 0,
  kFailed = 1,
  kUsage = 2,
  kNotFound = 3,
  kPermission = 4,
  kUnreachable = 5,
  kOutOfBudget = 6,
  kModelFileInvalid = 7,
  kDeadline = 8,
  kInterrupted = 130,
};

// What a failed call means to the person at the terminal.
struct Failure {
  ExitCode exit_code = ExitCode::kFailed;
  std::string reason;   // of its google.rpc.ErrorInfo; empty where the call never reached a daemon
  std::string message;  // one sentence, what to do included
};

// For a stream that ended with OK and no answer.
grpc::Status EndedWithoutAnswer();

// REQUIRES: !status.ok(). Where no daemon answered, `address` is named, and the flag of the program
// with which another one is given.
Failure ExplainFailure(const grpc::Status& status, const std::string& address,
                       const std::string& address_flag = "--address");

}  // namespace forge::client
