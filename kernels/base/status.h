#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace forge {

// What went wrong, in gRPC's terms. The numbers equal grpc::StatusCode; daemon/rpc/status_map.cpp
// asserts that and is the only place that converts.
enum class StatusCode : int {
  kOk = 0,
  kCancelled = 1,
  kUnknown = 2,
  kInvalidArgument = 3,
  kDeadlineExceeded = 4,
  kNotFound = 5,
  kAlreadyExists = 6,
  kPermissionDenied = 7,
  kResourceExhausted = 8,
  kFailedPrecondition = 9,
  kAborted = 10,
  kOutOfRange = 11,
  kUnimplemented = 12,
  kInternal = 13,
  kUnavailable = 14,
  kDataLoss = 15,
  kUnauthenticated = 16,
};

// The field's name for a code, as gRPC prints it: "INVALID_ARGUMENT".
std::string_view StatusCodeName(StatusCode code);

// Says whether an operation succeeded, and if not: a code, a sentence for people, a reason for
// programs and the numbers behind it.
//
// The message names the thing, the value and what to do. `reason` is UPPER_SNAKE and listed in
// docs/protocol.md; `details` repeats every variable of the message under a lowerCamel key with its
// unit ("requestedBytes"). An OK status allocates nothing.
class [[nodiscard]] Status {
 public:
  using Details = std::vector<std::pair<std::string, std::string>>;

  Status() = default;  // OK
  Status(StatusCode code, std::string message);

  bool ok() const { return error_ == nullptr; }
  StatusCode code() const { return ok() ? StatusCode::kOk : error_->code; }
  std::string_view message() const { return ok() ? std::string_view() : error_->message; }
  // Empty when none was set.
  std::string_view reason() const { return ok() ? std::string_view() : error_->reason; }
  const Details& details() const;

  // Return a copy with the addition. No effect on an OK status.
  Status WithReason(std::string_view reason) const;
  Status WithDetail(std::string_view key, std::string_view value) const;
  Status WithDetail(std::string_view key, uint64_t value) const;
  // Puts `context` and ": " before the message.
  Status WithContext(std::string_view context) const;

  // "INVALID_ARGUMENT: message", or "OK".
  std::string ToString() const;

 private:
  struct Error {
    StatusCode code;
    std::string message;
    std::string reason;
    Details details;
  };
  std::shared_ptr<const Error> error_;  // null: OK. Shared and immutable, so copies are cheap.
};

Status InvalidArgument(std::string message);
Status NotFound(std::string message);
Status ResourceExhausted(std::string message);
Status FailedPrecondition(std::string message);
Status OutOfRange(std::string message);
Status Unimplemented(std::string message);
Status Internal(std::string message);
Status Unavailable(std::string message);
Status DataLoss(std::string message);
Status Cancelled(std::string message);

}  // namespace forge

// Returns from the enclosing function when `expression`, a Status, is an error.
#define FORGE_TRY(expression)                                                    \
  do {                                                                           \
    if (::forge::Status forge_try_status = (expression); !forge_try_status.ok()) \
      return forge_try_status;                                                   \
  } while (false)
