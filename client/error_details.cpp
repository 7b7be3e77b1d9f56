#include "client/error_details.h"

#include <google/protobuf/util/time_util.h>
#include <google/rpc/error_details.pb.h>
#include <google/rpc/status.pb.h>

namespace forge::client {

ErrorDetails ReadErrorDetails(const grpc::Status& status) {
  using google::protobuf::util::TimeUtil;
  ErrorDetails read;
  google::rpc::Status details;
  if (!details.ParseFromString(status.error_details())) return read;
  for (const google::protobuf::Any& detail : details.details()) {
    google::rpc::ErrorInfo info;
    google::rpc::BadRequest request;
    google::rpc::RetryInfo retry;
    if (detail.UnpackTo(&info)) {
      read.reason = info.reason();
    } else if (detail.UnpackTo(&request) && !request.field_violations().empty()) {
      read.field = request.field_violations(0).field();
    } else if (detail.UnpackTo(&retry)) {
      read.retry_after =
          std::chrono::milliseconds(TimeUtil::DurationToMilliseconds(retry.retry_delay()));
    }
  }
  return read;
}

}  // namespace forge::client
