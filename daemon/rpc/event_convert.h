#pragma once

#include <forge/v1/forge.pb.h>

#include <string>

#include "daemon/residency/residency_event.h"
#include "kernels/base/result.h"

namespace forge {

// Translates events and decisions between the residency's values and the protocol.

v1::Event EventToProto(const ResidencyEvent& event);
v1::PolicyDecision DecisionToProto(const DecisionRecord& record);

// What was asked, with the decision left open. kInvalidArgument (reason INVALID_REQUEST) naming the
// field where a figure is out of range.
Result<DecisionRecord> QuestionFromProto(const v1::PolicyDecision& decision);
// kInvalidArgument (reason INVALID_REQUEST) naming the field.
Result<AdmissionPolicy> PolicyFromProto(const v1::MemoryPolicy& policy);

// An event as a line of the audit file: canonical protobuf JSON, without the line's end.
std::string AuditLine(const ResidencyEvent& event);

}  // namespace forge
