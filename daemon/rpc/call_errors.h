#pragma once

#include <grpcpp/support/status.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "daemon/telemetry/metrics.h"
#include "kernels/base/status.h"

namespace forge {

// What calls that use a model for a while end with.

// kUnavailable, reason SHUTTING_DOWN.
Status ShuttingDown();
// kInvalidArgument, reason INVALID_REQUEST: "<field> <problem>".
Status BadField(std::string_view field, std::string_view problem);
// kInvalidArgument, reason INVALID_REQUEST: what was sent is no message of this type.
Status MalformedRequest(std::string_view type);
// The engine calls an unknown model or session NOT_FOUND; to a client whose call has begun it means
// that somebody unloaded the model: kFailedPrecondition. So it does when residency does not have a
// model any more that the call `had_model`. Other errors stay as they are.
Status Unloaded(const Status& status, const std::string& model, bool had_model);
// kFailedPrecondition, reason CHAT_TOOLS_UNSUPPORTED: the model would never see the tools.
Status ToolsUnsupported(const std::string& model, std::string_view chat_template);
// kDeadlineExceeded, reason TURN_TOO_SLOW.
Status TooSlow(std::chrono::milliseconds limit);
// Counts what a call ended with, to be called once for each: errors by their reasons, unless nobody
// is there to be told.
void CountEnd(Metrics& metrics, const grpc::Status& status);
// kResourceExhausted, reason SLOW_READER: `what` is the setting that was passed.
Status SlowReader(std::string_view what, uint64_t limit, std::string_view unit);

}  // namespace forge
