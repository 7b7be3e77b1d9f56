#include "client/commands/event_names.h"

#include <cctype>
#include <string_view>

namespace forge::client {
namespace {

std::string WithoutPrefix(std::string_view name, std::string_view prefix) {
  if (name.starts_with(prefix)) name.remove_prefix(prefix.size());
  std::string text;
  for (const char c : name) text += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

}  // namespace

std::string EventKindName(v1::EventKind kind) {
  return WithoutPrefix(v1::EventKind_Name(kind), "EVENT_KIND_");
}

std::string UnloadCauseName(v1::UnloadCause cause) {
  return WithoutPrefix(v1::UnloadCause_Name(cause), "UNLOAD_CAUSE_");
}

std::string DecisionKindName(v1::PolicyDecision::Kind kind) {
  return WithoutPrefix(v1::PolicyDecision::Kind_Name(kind), "KIND_");
}

std::string DecisionText(const v1::PolicyDecision& decision) {
  std::string text = DecisionKindName(decision.kind());
  const char* separator = " ";
  for (const std::string& model : decision.models()) {
    text += separator + model;
    separator = ", ";
  }
  return text;
}

}  // namespace forge::client
