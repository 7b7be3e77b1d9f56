#include "daemon/rpc/call_errors.h"

#include <fmt/format.h>

#include "daemon/rpc/reasons.h"
#include "daemon/rpc/status_map.h"

namespace forge {

Status ShuttingDown() {
  return Unavailable("the daemon is shutting down").WithReason("SHUTTING_DOWN");
}

Status BadField(std::string_view field, std::string_view problem) {
  return InvalidArgument(fmt::format("{} {}", field, problem))
      .WithReason("INVALID_REQUEST")
      .WithDetail("field", field);
}

Status MalformedRequest(std::string_view type) {
  return InvalidArgument(
             fmt::format("the bytes sent are no {}; strings, for one, must be UTF-8", type))
      .WithReason("INVALID_REQUEST")
      .WithDetail("field", "request")
      .WithDetail("type", type);
}

Status Unloaded(const Status& status, const std::string& model, bool had_model) {
  if (status.reason() != "MODEL_NOT_LOADED" && status.reason() != "SESSION_NOT_FOUND")
    return status;
  // Residency's word about a model that was not there from the start.
  if (status.code() == StatusCode::kFailedPrecondition && !had_model) return status;
  return FailedPrecondition(
             fmt::format("model '{}' was unloaded; load it with: forgectl load {}", model, model))
      .WithReason("MODEL_NOT_LOADED")
      .WithDetail("model", model);
}

Status ToolsUnsupported(const std::string& model, std::string_view chat_template) {
  return FailedPrecondition(
             fmt::format("the chat template of model '{}' ({}) knows no tools, so that the model "
                         "would not see them; describe them in a message instead, or take a "
                         "model whose template has them: forgectl show MODEL tells",
                         model, chat_template))
      .WithReason("CHAT_TOOLS_UNSUPPORTED")
      .WithDetail("model", model)
      .WithDetail("field", "turn.chat.tools");
}

Status TooSlow(std::chrono::milliseconds limit) {
  return Status(StatusCode::kDeadlineExceeded,
                fmt::format("the turn took longer than limits.generate_deadline, {} ms",
                            limit.count()))
      .WithReason("TURN_TOO_SLOW")
      .WithDetail("limitMs", static_cast<uint64_t>(limit.count()));
}

void CountEnd(Metrics& metrics, const grpc::Status& status) {
  if (status.ok()) return;
  try {
    const std::string reason = ReasonOf(status);
    if (reason != kClientGone) metrics.CountRejection(reason);
  } catch (const std::bad_alloc&) {
    metrics.CountRejection(Metrics::kOther);  // which takes none
  }
}

Status SlowReader(std::string_view what, uint64_t limit, std::string_view unit) {
  return ResourceExhausted(
             fmt::format("the client reads too slowly: {} is {} {}", what, limit, unit))
      .WithReason("SLOW_READER")
      .WithDetail("bound", what)
      .WithDetail("limit", limit);
}

}  // namespace forge
