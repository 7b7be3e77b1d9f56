#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "daemon/rpc/call_errors.h"
#include "daemon/rpc/event_convert.h"
#include "daemon/rpc/handlers.h"
#include "daemon/rpc/unary_call.h"

namespace forge {
namespace {

// A decision among sixteen models that could go takes milliseconds. What forgectl sends in one
// call, 512 KiB of audit lines of some 500 bytes each, stays below.
constexpr int64_t kMaxDecisions = 2048;

v1::MemoryPolicy PolicyUnder(const v1::ReplayPolicyRequest::Settings& settings,
                             v1::MemoryPolicy policy) {
  if (!settings.policy().empty()) policy.set_policy(settings.policy());
  if (settings.has_free_fraction()) policy.set_free_fraction(settings.free_fraction());
  if (settings.has_reserve_bytes()) policy.set_reserve_bytes(settings.reserve_bytes());
  if (settings.has_cap_bytes()) policy.set_cap_bytes(settings.cap_bytes());
  if (settings.has_cap_bytes() && settings.cap_bytes() == 0) policy.clear_cap_bytes();
  return policy;
}

Status Replay(const v1::Event& event, const v1::ReplayPolicyRequest::Settings& settings,
              v1::ReplayPolicyResponse& response) {
  v1::PolicyDecision question = event.decision();
  *question.mutable_policy() = PolicyUnder(settings, event.decision().policy());
  FORGE_ASSIGN_OR_RETURN(DecisionRecord record, QuestionFromProto(question));
  record = RecordDecision(record.memory, record.device, record.residents, record.wanted);
  v1::ReplayPolicyResponse::Replay& replay = *response.add_replays();
  *replay.mutable_event() = event;
  replay.mutable_event()->mutable_decision()->clear_residents();
  *replay.mutable_decision() = DecisionToProto(record);
  replay.mutable_decision()->clear_residents();
  const auto& before = event.decision().models();
  const auto& after = replay.decision().models();
  replay.set_changed(event.decision().kind() != replay.decision().kind() ||
                     !std::equal(before.begin(), before.end(), after.begin(), after.end()));
  return Status();
}

Status ReplayPolicy(ServiceContext& service, const grpc::CallbackServerContext& context,
                    const v1::ReplayPolicyRequest& request, v1::ReplayPolicyResponse& response) {
  const int64_t n_decisions = std::ranges::count_if(
      request.events(), [](const auto& event) { return event.has_decision(); });
  if (n_decisions > kMaxDecisions)
    return BadField("events", fmt::format("hold {} decisions, but one call takes at most {}; send "
                                          "them in several calls",
                                          n_decisions, kMaxDecisions));
  const std::optional<CallAdmission::Ticket> ticket = service.replay_admission.TryAdmit();
  if (!ticket) return TooManyCalls("ReplayPolicy", service.replay_admission.limit());
  for (const v1::Event& event : request.events()) {
    if (!event.has_decision()) continue;
    if (context.IsCancelled()) return Cancelled("the client is gone").WithReason("CLIENT_GONE");
    if (service.running_calls.draining()) return ShuttingDown();
    const Status status = Replay(event, request.settings(), response);
    if (!status.ok()) return status.WithContext("event " + std::to_string(event.number()));
  }
  return Status();
}

}  // namespace

grpc::ServerUnaryReactor* HandleReplayPolicy(ServiceContext& service,
                                             grpc::CallbackServerContext* context,
                                             const v1::ReplayPolicyRequest* request,
                                             v1::ReplayPolicyResponse* response) {
  return RunOnWorker(service, context, [&service, context, request, response] {
    return ReplayPolicy(service, *context, *request, *response);
  });
}

}  // namespace forge
