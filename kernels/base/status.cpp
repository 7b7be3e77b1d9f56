#include "kernels/base/status.h"

#include "kernels/base/check.h"

namespace forge {

std::string_view StatusCodeName(StatusCode code) {
  static constexpr std::string_view kNames[] = {"OK",
                                                "CANCELLED",
                                                "UNKNOWN",
                                                "INVALID_ARGUMENT",
                                                "DEADLINE_EXCEEDED",
                                                "NOT_FOUND",
                                                "ALREADY_EXISTS",
                                                "PERMISSION_DENIED",
                                                "RESOURCE_EXHAUSTED",
                                                "FAILED_PRECONDITION",
                                                "ABORTED",
                                                "OUT_OF_RANGE",
                                                "UNIMPLEMENTED",
                                                "INTERNAL",
                                                "UNAVAILABLE",
                                                "DATA_LOSS",
                                                "UNAUTHENTICATED"};
  return kNames[static_cast<int>(code)];
}

Status::Status(StatusCode code, std::string message) {
  FORGE_CHECK(code != StatusCode::kOk, "an error status needs an error code");
  error_ = std::make_shared<const Error>(Error{code, std::move(message), {}, {}});
}

const Status::Details& Status::details() const {
  static const Details kNone;
  return ok() ? kNone : error_->details;
}

Status Status::WithReason(std::string_view reason) const {
  if (ok()) return *this;
  Error copy = *error_;
  copy.reason = reason;
  Status result;
  result.error_ = std::make_shared<const Error>(std::move(copy));
  return result;
}

Status Status::WithDetail(std::string_view key, std::string_view value) const {
  if (ok()) return *this;
  Error copy = *error_;
  copy.details.emplace_back(key, value);
  Status result;
  result.error_ = std::make_shared<const Error>(std::move(copy));
  return result;
}

Status Status::WithDetail(std::string_view key, uint64_t value) const {
  return WithDetail(key, std::string_view(std::to_string(value)));
}

Status Status::WithContext(std::string_view context) const {
  if (ok()) return *this;
  Error copy = *error_;
  copy.message = std::string(context) + ": " + copy.message;
  Status result;
  result.error_ = std::make_shared<const Error>(std::move(copy));
  return result;
}

std::string Status::ToString() const {
  if (ok()) return "OK";
  return std::string(StatusCodeName(code())) + ": " + error_->message;
}

Status InvalidArgument(std::string m) { return {StatusCode::kInvalidArgument, std::move(m)}; }
Status NotFound(std::string m) { return {StatusCode::kNotFound, std::move(m)}; }
Status ResourceExhausted(std::string m) { return {StatusCode::kResourceExhausted, std::move(m)}; }
Status FailedPrecondition(std::string m) { return {StatusCode::kFailedPrecondition, std::move(m)}; }
Status OutOfRange(std::string m) { return {StatusCode::kOutOfRange, std::move(m)}; }
Status Unimplemented(std::string m) { return {StatusCode::kUnimplemented, std::move(m)}; }
Status Internal(std::string m) { return {StatusCode::kInternal, std::move(m)}; }
Status Unavailable(std::string m) { return {StatusCode::kUnavailable, std::move(m)}; }
Status DataLoss(std::string m) { return {StatusCode::kDataLoss, std::move(m)}; }
Status Cancelled(std::string m) { return {StatusCode::kCancelled, std::move(m)}; }

}  // namespace forge
