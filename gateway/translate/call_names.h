#pragma once

#include <forge/v1/forge.pb.h>

#include <string>
#include <unordered_map>

namespace forge::gateway {

// The functions that the calls in a conversation are of. A result names only the call that it
// answers, and some templates want the function. Not thread-safe.
class CallNames {
 public:
  // Of two calls with one id the later counts.
  void Add(const v1::ToolCall& call) {
    if (!call.id().empty()) names_[call.id()] = call.name();
  }
  // Empty: there is no such call.
  std::string Find(const std::string& id) const {
    const auto found = names_.find(id);
    return found == names_.end() ? std::string() : found->second;
  }

 private:
  std::unordered_map<std::string, std::string> names_;  // by the call's id
};

}  // namespace forge::gateway
