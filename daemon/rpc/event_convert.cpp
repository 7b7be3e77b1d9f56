#include "daemon/rpc/event_convert.h"

#include <fmt/format.h>
#include <google/protobuf/util/json_util.h>

#include <cmath>
#include <set>

#include "daemon/rpc/call_errors.h"
#include "daemon/rpc/proto_convert.h"
#include "daemon/text/utf8.h"

namespace forge {
namespace {

// Figures past a pebibyte are nobody's; below, sums of all residents stay far from 2^64.
constexpr int64_t kMostBytes = int64_t{1} << 50;
constexpr int kMostResidents = 1024;

int64_t Signed(uint64_t bytes) { return static_cast<int64_t>(bytes); }

v1::EventKind KindToProto(ResidencyEvent::Kind kind) {
  // Both lists name the same kinds in the same order.
  static_assert(static_cast<int>(ResidencyEvent::Kind::kNotRestored) + 1 ==
                v1::EVENT_KIND_NOT_RESTORED);
  static_assert(static_cast<int>(ResidencyEvent::Kind::kUnloading) + 1 == v1::EVENT_KIND_UNLOADING);
  return static_cast<v1::EventKind>(static_cast<int>(kind) + 1);
}

v1::UnloadCause CauseToProto(ResidencyAction::UnloadCause cause) {
  static_assert(static_cast<int>(ResidencyAction::UnloadCause::kAsked) + 1 ==
                v1::UNLOAD_CAUSE_ASKED);
  return static_cast<v1::UnloadCause>(static_cast<int>(cause) + 1);
}

v1::PolicyDecision::Kind DecisionKindToProto(ResidencyDecision::Kind kind) {
  static_assert(static_cast<int>(ResidencyDecision::Kind::kRefuse) + 1 ==
                v1::PolicyDecision::KIND_REFUSE);
  return static_cast<v1::PolicyDecision::Kind>(static_cast<int>(kind) + 1);
}

v1::PolicyResident ResidentToProto(const Resident& resident) {
  static_assert(static_cast<int>(Resident::Phase::kUnloading) + 1 ==
                v1::PolicyResident::PHASE_UNLOADING);
  v1::PolicyResident out;
  out.set_model(SanitizeUtf8(resident.name));
  out.set_bytes(Signed(resident.bytes));
  out.set_phase(static_cast<v1::PolicyResident::Phase>(static_cast<int>(resident.phase) + 1));
  out.set_lease_count(resident.n_leases);
  out.set_pinned(resident.pinned);
  out.set_settled(resident.is_settled);
  out.set_priority(resident.priority);
  out.set_reload_cost(resident.reload_cost);
  out.set_reuse_chance(resident.reuse_chance);
  return out;
}

v1::MemoryPolicy PolicyToProto(const AdmissionPolicy& policy) {
  v1::MemoryPolicy out;
  out.set_policy(policy.kind == AdmissionPolicy::Kind::kShare ? "share" : "incremental");
  out.set_free_fraction(policy.free_fraction);
  out.set_reserve_bytes(Signed(policy.reserve_bytes));
  if (policy.cap_bytes) out.set_cap_bytes(Signed(*policy.cap_bytes));
  return out;
}

Result<uint64_t> BytesFromProto(std::string_view field, int64_t bytes) {
  if (bytes >= 0 && bytes <= kMostBytes) return static_cast<uint64_t>(bytes);
  return BadField(field, fmt::format("is {}, but must be from 0 to 2^50", bytes));
}

Result<Resident> ResidentFromProto(const v1::PolicyResident& in) {
  Resident resident;
  resident.name = in.model();
  FORGE_ASSIGN_OR_RETURN(resident.bytes, BytesFromProto("decision.residents.bytes", in.bytes()));
  if (in.phase() < v1::PolicyResident::PHASE_LOADING ||
      in.phase() > v1::PolicyResident::PHASE_UNLOADING)
    return BadField("decision.residents.phase", "is none of Phase");
  resident.phase = static_cast<Resident::Phase>(static_cast<int>(in.phase()) - 1);
  resident.n_leases = in.lease_count();
  resident.pinned = in.pinned();
  resident.is_settled = in.settled();
  resident.priority = in.priority();
  if (!std::isfinite(in.reload_cost()) || in.reload_cost() <= 0)
    return BadField("decision.residents.reload_cost", "must be above 0");
  if (!(in.reuse_chance() >= 0 && in.reuse_chance() <= 1))
    return BadField("decision.residents.reuse_chance", "must be from 0 to 1");
  resident.reload_cost = in.reload_cost();
  resident.reuse_chance = in.reuse_chance();
  return resident;
}

}  // namespace

v1::PolicyDecision DecisionToProto(const DecisionRecord& record) {
  v1::PolicyDecision out;
  *out.mutable_policy() = PolicyToProto(record.memory);
  out.set_total_bytes(Signed(record.device.reading.total_bytes));
  out.set_free_bytes(Signed(record.device.reading.free_bytes));
  out.set_allocated_bytes(Signed(record.device.allocated_bytes));
  for (const Resident& resident : record.residents)
    *out.add_residents() = ResidentToProto(resident);
  out.set_model(SanitizeUtf8(record.wanted.name));
  out.set_plan_bytes(Signed(record.wanted.plan_bytes));
  out.set_priority(record.wanted.priority);
  out.set_kind(DecisionKindToProto(record.decision.kind));
  for (const std::string& model : record.decision.models) out.add_models(SanitizeUtf8(model));
  out.set_available_bytes(Signed(record.decision.admission.available_bytes));
  out.set_binding_bound(std::string(AdmissionBoundName(record.decision.admission.bound)));
  out.set_reason(SanitizeUtf8(ExplainDecision(record.decision, record.wanted)));
  return out;
}

v1::Event EventToProto(const ResidencyEvent& event) {
  v1::Event out;
  out.set_number(Signed(event.number));
  *out.mutable_time() = TimestampToProto(event.time);
  out.set_kind(KindToProto(event.kind));
  out.set_device(event.device);
  out.set_model(SanitizeUtf8(event.model));
  out.set_reason(SanitizeUtf8(event.reason));
  out.set_error(event.error);
  if (event.cause) out.set_cause(CauseToProto(*event.cause));
  if (event.queue_position) out.set_queue_position(*event.queue_position);
  if (event.duration) *out.mutable_duration() = DurationToProto(*event.duration);
  out.set_bytes(Signed(event.bytes));
  out.set_free_bytes(Signed(event.free_bytes));
  out.set_reserved_bytes(Signed(event.reserved_bytes));
  out.set_allocated_bytes(Signed(event.allocated_bytes));
  if (event.decision != nullptr) *out.mutable_decision() = DecisionToProto(*event.decision);
  return out;
}

Result<AdmissionPolicy> PolicyFromProto(const v1::MemoryPolicy& in) {
  AdmissionPolicy policy;
  if (in.policy() != "share" && in.policy() != "incremental")
    return BadField("policy",
                    fmt::format("is '{}', but must be share or incremental", in.policy()));
  policy.kind =
      in.policy() == "share" ? AdmissionPolicy::Kind::kShare : AdmissionPolicy::Kind::kIncremental;
  if (!(in.free_fraction() > 0 && in.free_fraction() <= 1))
    return BadField("free_fraction",
                    fmt::format("is {}, but must be above 0, at most 1", in.free_fraction()));
  policy.free_fraction = in.free_fraction();
  FORGE_ASSIGN_OR_RETURN(policy.reserve_bytes, BytesFromProto("reserve_bytes", in.reserve_bytes()));
  if (in.has_cap_bytes()) {
    FORGE_ASSIGN_OR_RETURN(policy.cap_bytes, BytesFromProto("cap_bytes", in.cap_bytes()));
  }
  return policy;
}

Result<DecisionRecord> QuestionFromProto(const v1::PolicyDecision& in) {
  DecisionRecord record;
  FORGE_ASSIGN_OR_RETURN(record.memory, PolicyFromProto(in.policy()));
  MemoryReading& reading = record.device.reading;
  FORGE_ASSIGN_OR_RETURN(reading.total_bytes,
                         BytesFromProto("decision.total_bytes", in.total_bytes()));
  FORGE_ASSIGN_OR_RETURN(reading.free_bytes,
                         BytesFromProto("decision.free_bytes", in.free_bytes()));
  reading.runtime_free_bytes = reading.driver_free_bytes = reading.free_bytes;
  FORGE_ASSIGN_OR_RETURN(record.device.allocated_bytes,
                         BytesFromProto("decision.allocated_bytes", in.allocated_bytes()));
  FORGE_ASSIGN_OR_RETURN(record.wanted.plan_bytes,
                         BytesFromProto("decision.plan_bytes", in.plan_bytes()));
  record.wanted.name = in.model();
  record.wanted.priority = in.priority();
  if (in.residents_size() > kMostResidents)
    return BadField("decision.residents", fmt::format("has more than {} models", kMostResidents));
  std::set<std::string> names;
  for (const v1::PolicyResident& resident : in.residents()) {
    if (!names.insert(resident.model()).second)
      return BadField("decision.residents.model", "names a model twice: " + resident.model());
    FORGE_ASSIGN_OR_RETURN(record.residents.emplace_back(), ResidentFromProto(resident));
  }
  return record;
}

std::string AuditLine(const ResidencyEvent& event) {
  std::string json;
  const auto status = google::protobuf::util::MessageToJsonString(EventToProto(event), &json);
  // Only a malformed message of our own making cannot be printed.
  return status.ok() ? json : "{}";
}

}  // namespace forge
