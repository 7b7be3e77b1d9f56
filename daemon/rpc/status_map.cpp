#include "daemon/rpc/status_map.h"

#include <google/protobuf/util/time_util.h>
#include <google/rpc/error_details.pb.h>
#include <google/rpc/status.pb.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "daemon/rpc/reasons.h"
#include "daemon/text/utf8.h"

namespace forge {
namespace {

#define FORGE_SAME_CODE(ours, theirs)                                           \
  static_assert(static_cast<int>(StatusCode::ours) == grpc::StatusCode::theirs, \
                "StatusCode must equal grpc::StatusCode")
FORGE_SAME_CODE(kOk, OK);
FORGE_SAME_CODE(kCancelled, CANCELLED);
FORGE_SAME_CODE(kUnknown, UNKNOWN);
FORGE_SAME_CODE(kInvalidArgument, INVALID_ARGUMENT);
FORGE_SAME_CODE(kDeadlineExceeded, DEADLINE_EXCEEDED);
FORGE_SAME_CODE(kNotFound, NOT_FOUND);
FORGE_SAME_CODE(kAlreadyExists, ALREADY_EXISTS);
FORGE_SAME_CODE(kPermissionDenied, PERMISSION_DENIED);
FORGE_SAME_CODE(kResourceExhausted, RESOURCE_EXHAUSTED);
FORGE_SAME_CODE(kFailedPrecondition, FAILED_PRECONDITION);
FORGE_SAME_CODE(kAborted, ABORTED);
FORGE_SAME_CODE(kOutOfRange, OUT_OF_RANGE);
FORGE_SAME_CODE(kUnimplemented, UNIMPLEMENTED);
FORGE_SAME_CODE(kInternal, INTERNAL);
FORGE_SAME_CODE(kUnavailable, UNAVAILABLE);
FORGE_SAME_CODE(kDataLoss, DATA_LOSS);
FORGE_SAME_CODE(kUnauthenticated, UNAUTHENTICATED);
#undef FORGE_SAME_CODE

// The message travels three times (percent-encoded, and twice in the base64 of the details), the
// metadata once; with these caps the worst case stays below 8 KiB.
constexpr size_t kMaxMessageBytes = 800;
constexpr size_t kMaxValueBytes = 400;
constexpr size_t kMaxMetadataBytes = 1500;
constexpr int kRetrySeconds = 1;

constexpr Reason kReasons[] = {
    {"INVALID_REQUEST", StatusCode::kInvalidArgument},
    {"INVALID_PAGE_TOKEN", StatusCode::kInvalidArgument},
    {"MODEL_PATH_OUTSIDE", StatusCode::kInvalidArgument},
    {"MODEL_FILE_INVALID", StatusCode::kInvalidArgument},
    {"MODEL_FILE_TRUNCATED", StatusCode::kDataLoss},
    {"MODEL_FILE_UNREADABLE", StatusCode::kUnavailable},
    {"MODEL_FILE_CHANGED", StatusCode::kAborted},
    {"ARCHITECTURE_UNSUPPORTED", StatusCode::kUnimplemented},
    {"CHAT_TEMPLATE_UNSUPPORTED", StatusCode::kFailedPrecondition},
    {"CHAT_TEMPLATE_FAILED", StatusCode::kFailedPrecondition},
    {"CHAT_TEMPLATE_REFUSED", StatusCode::kInvalidArgument},
    {"CHAT_TOOLS_UNSUPPORTED", StatusCode::kFailedPrecondition},
    {"MODEL_NOT_FOUND", StatusCode::kNotFound},
    {"MODEL_NAME_AMBIGUOUS", StatusCode::kFailedPrecondition},
    {"MODEL_NOT_LOADED", StatusCode::kFailedPrecondition},
    {"MODEL_OPTIONS_DIFFER", StatusCode::kFailedPrecondition},
    {"MODEL_BUSY", StatusCode::kUnavailable},
    {"MODEL_COOLING_DOWN", StatusCode::kUnavailable},
    {"PINNED_MODELS_IN_THE_WAY", StatusCode::kFailedPrecondition},
    {"LOAD_CANCELLED", StatusCode::kCancelled},
    {"LOAD_TOO_SLOW", StatusCode::kDeadlineExceeded},
    {"START_TOO_SLOW", StatusCode::kDeadlineExceeded},
    {"LOAD_CRASHED", StatusCode::kFailedPrecondition},
    {"DEVICE_NOT_FOUND", StatusCode::kNotFound},
    {"DEVICE_LOST", StatusCode::kUnavailable},
    {"GPU_BUDGET_EXCEEDED", StatusCode::kResourceExhausted},
    {"GPU_MEMORY_TAKEN_BY_OTHERS", StatusCode::kResourceExhausted},
    {"HOST_MEMORY_EXHAUSTED", StatusCode::kResourceExhausted},
    {"CONTEXT_LENGTH_EXCEEDED", StatusCode::kOutOfRange},
    {"GRAMMAR_INVALID", StatusCode::kInvalidArgument},
    {"GRAMMAR_TOO_COMPLEX", StatusCode::kInvalidArgument},
    {"GRAMMAR_DEAD_END", StatusCode::kFailedPrecondition},
    {"SCHEMA_INVALID", StatusCode::kInvalidArgument},
    {"SCHEMA_UNSUPPORTED", StatusCode::kInvalidArgument},
    {"QUEUE_FULL", StatusCode::kResourceExhausted},
    {"TOO_MANY_STREAMS", StatusCode::kResourceExhausted},
    {"SLOW_READER", StatusCode::kResourceExhausted},
    {"MODEL_IS_ENCODER", StatusCode::kFailedPrecondition},
    {"SESSION_BUSY", StatusCode::kFailedPrecondition},
    {"SESSION_NOT_FOUND", StatusCode::kNotFound},
    {"TURN_TOO_SLOW", StatusCode::kDeadlineExceeded},
    {"CLIENT_GONE", StatusCode::kCancelled},
    {"SHUTTING_DOWN", StatusCode::kUnavailable},
};

constexpr std::array<std::string_view, 3> kRetryableExhaustion = {"QUEUE_FULL", "TOO_MANY_STREAMS",
                                                                  "MODEL_BUSY"};

bool MayRetry(const Status& status) {
  if (status.code() == StatusCode::kUnavailable) return true;
  return status.code() == StatusCode::kResourceExhausted &&
         std::find(kRetryableExhaustion.begin(), kRetryableExhaustion.end(), status.reason()) !=
             kRetryableExhaustion.end();
}

std::string Clean(std::string_view text, size_t max_bytes) {
  const std::string clean = SanitizeUtf8(text);
  return std::string(TruncateUtf8(clean, max_bytes));
}

void FillErrorInfo(const Status& status, google::rpc::ErrorInfo& info) {
  info.set_reason(
      std::string(status.reason().empty() ? StatusCodeName(status.code()) : status.reason()));
  info.set_domain(std::string(kErrorDomain));
  size_t total_bytes = 0;
  for (const auto& [key, value] : status.details()) {
    const std::string clean = Clean(value, kMaxValueBytes);
    total_bytes += key.size() + clean.size();
    if (total_bytes > kMaxMetadataBytes) break;
    (*info.mutable_metadata())[key] = clean;
  }
}

// The value of the detail `name`; empty if there is none.
std::string_view DetailOf(const Status& status, std::string_view name) {
  for (const auto& [key, value] : status.details()) {
    if (key == name) return value;
  }
  return {};
}

// When the same call may succeed: as the status says, else soon.
void SetRetryDelay(const Status& status, google::protobuf::Duration& delay) {
  const std::string_view known = DetailOf(status, "retryAfterMs");
  int64_t milliseconds = kRetrySeconds * 1000;
  std::from_chars(known.data(), known.data() + known.size(), milliseconds);
  delay = google::protobuf::util::TimeUtil::MillisecondsToDuration(milliseconds);
}

}  // namespace

std::span<const Reason> Reasons() { return kReasons; }

std::vector<std::string> RejectionNames() {
  std::vector<std::string> names;
  for (const Reason& reason : kReasons)
    if (reason.name != kClientGone) names.emplace_back(reason.name);
  for (int code = 1; code <= static_cast<int>(StatusCode::kUnauthenticated); ++code)
    names.emplace_back(StatusCodeName(static_cast<StatusCode>(code)));
  return names;
}

std::string ReasonOf(const grpc::Status& status) {
  google::rpc::Status wire;
  google::rpc::ErrorInfo info;
  if (!wire.ParseFromString(status.error_details())) return {};
  for (const google::protobuf::Any& detail : wire.details())
    if (detail.UnpackTo(&info)) return info.reason();
  return {};
}

grpc::Status ToGrpc(const Status& status) {
  if (status.ok()) return grpc::Status::OK;
  const std::string message = Clean(status.message(), kMaxMessageBytes);
  google::rpc::Status wire;
  wire.set_code(static_cast<int>(status.code()));
  wire.set_message(message);

  google::rpc::ErrorInfo info;
  FillErrorInfo(status, info);
  wire.add_details()->PackFrom(info);
  if (MayRetry(status)) {
    google::rpc::RetryInfo retry;
    SetRetryDelay(status, *retry.mutable_retry_delay());
    wire.add_details()->PackFrom(retry);
  }
  if (const std::string_view field = DetailOf(status, "field");
      status.code() == StatusCode::kInvalidArgument && !field.empty()) {
    google::rpc::BadRequest bad_request;
    auto* violation = bad_request.add_field_violations();
    violation->set_field(Clean(field, kMaxValueBytes));
    violation->set_description(message);
    wire.add_details()->PackFrom(bad_request);
  }
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), message,
                      wire.SerializeAsString());
}

}  // namespace forge
