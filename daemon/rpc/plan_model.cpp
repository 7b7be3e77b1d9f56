#include "daemon/rpc/handlers.h"
#include "daemon/rpc/proto_convert.h"
#include "daemon/rpc/unary_call.h"

namespace forge {
namespace {

v1::PlanModelResponse::Decision DecisionToProto(const ResidencyPlan& plan) {
  if (plan.is_resident) return v1::PlanModelResponse::DECISION_RESIDENT;
  switch (plan.decision.kind) {
    case ResidencyDecision::Kind::kAdmit:
      return v1::PlanModelResponse::DECISION_FITS;
    case ResidencyDecision::Kind::kEvict:
      return v1::PlanModelResponse::DECISION_EVICT;
    case ResidencyDecision::Kind::kWait:
      return v1::PlanModelResponse::DECISION_WAIT;
    case ResidencyDecision::Kind::kRefuse:
      return v1::PlanModelResponse::DECISION_REFUSE;
  }
  return v1::PlanModelResponse::DECISION_UNSPECIFIED;
}

Status PlanModel(ServiceContext& service, const v1::PlanModelRequest& request,
                 v1::PlanModelResponse& response) {
  FORGE_ASSIGN_OR_RETURN(LoadRequest wanted, LoadRequestFromProto(request.options()));
  wanted.priority = request.priority();
  FORGE_ASSIGN_OR_RETURN(const ModelFile file,
                         service.residency.catalogue().Resolve(request.model()));
  FORGE_ASSIGN_OR_RETURN(const ResidencyPlan plan, service.residency.Plan(file, wanted));
  response.set_decision(DecisionToProto(plan));
  response.set_reason(plan.reason);
  for (const std::string& model : plan.decision.models) response.add_models(model);
  *response.mutable_details() = DetailsToProto(plan.info);
  const AdmissionDecision& admission = plan.decision.admission;
  response.set_binding_bound(std::string(AdmissionBoundName(admission.bound)));
  response.set_available_bytes(static_cast<int64_t>(admission.available_bytes));
  response.set_available_with_eviction_bytes(
      static_cast<int64_t>(plan.decision.available_with_eviction_bytes));
  response.set_available_alone_bytes(static_cast<int64_t>(plan.decision.available_alone_bytes));
  response.set_longest_context(plan.longest_context);
  response.set_longest_context_with_eviction(plan.longest_context_with_eviction);
  return Status();
}

}  // namespace

grpc::ServerUnaryReactor* HandlePlanModel(ServiceContext& service,
                                          grpc::CallbackServerContext* context,
                                          const v1::PlanModelRequest* request,
                                          v1::PlanModelResponse* response) {
  return RunOnWorker(service, context, [&service, request, response] {
    return PlanModel(service, *request, *response);
  });
}

}  // namespace forge
