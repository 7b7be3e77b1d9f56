#pragma once

#include <forge/v1/forge.pb.h>

#include <string>

namespace forge::client {

// The names of values for people: lower case, without the prefix of their list.
std::string EventKindName(v1::EventKind kind);                // "admitted"
std::string UnloadCauseName(v1::UnloadCause cause);           // "evicted"
std::string DecisionKindName(v1::PolicyDecision::Kind kind);  // "evict"

// "evict a, b".
std::string DecisionText(const v1::PolicyDecision& decision);

}  // namespace forge::client
