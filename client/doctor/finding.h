#pragma once

#include <string>
#include <vector>

namespace forge::client {

enum class Severity { kOk, kNote, kWarning, kProblem };

// One thing that `forgectl doctor` looked at.
struct Finding {
  Severity severity = Severity::kOk;
  std::string topic;   // "compute node"
  std::string what;    // "/dev/kfd can be read and written"
  std::string advice;  // what mends it; empty if nothing need be done
};
using Findings = std::vector<Finding>;

}  // namespace forge::client
