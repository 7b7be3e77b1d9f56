#include "daemon/config/device_memory_rules.h"

#include <fmt/format.h>

#include <set>
#include <sstream>

#include "daemon/config/quantity.h"

namespace forge {
namespace {

bool SetRule(DeviceMemoryRules& rules, std::string_view name, const std::string& value) {
  if (name == "policy") {
    if (value == "share") rules.policy = AdmissionPolicy::Kind::kShare;
    if (value == "incremental") rules.policy = AdmissionPolicy::Kind::kIncremental;
    return rules.policy.has_value();
  }
  if (name == "free_fraction") {
    rules.free_fraction = ParseFraction(value);
    return rules.free_fraction.has_value();
  }
  if (name == "reserve") {
    rules.reserve_bytes = ParseSize(value);
    return rules.reserve_bytes.has_value();
  }
  if (name != "cap") return false;
  rules.cap_bytes = value == "none" ? 0 : ParseSize(value);
  return rules.cap_bytes && (*rules.cap_bytes > 0 || value == "none");
}

}  // namespace

std::optional<DeviceMemoryRules> ParseDeviceMemoryRules(std::string_view text) {
  std::istringstream words{std::string(text)};
  DeviceMemoryRules rules;
  if (!(words >> rules.device) || rules.device.find('=') != std::string::npos) return std::nullopt;
  std::set<std::string> seen;
  for (std::string word; words >> word;) {
    const size_t equals = word.find('=');
    if (equals == std::string::npos) return std::nullopt;
    const std::string name = word.substr(0, equals);
    if (!seen.insert(name).second || !SetRule(rules, name, word.substr(equals + 1)))
      return std::nullopt;
  }
  if (seen.empty()) return std::nullopt;
  return rules;
}

std::string FormatDeviceMemoryRules(const DeviceMemoryRules& rules) {
  std::string text = rules.device;
  if (rules.policy)
    text +=
        *rules.policy == AdmissionPolicy::Kind::kShare ? " policy=share" : " policy=incremental";
  if (rules.free_fraction) text += fmt::format(" free_fraction={}", *rules.free_fraction);
  if (rules.reserve_bytes) text += " reserve=" + FormatSize(*rules.reserve_bytes);
  if (rules.cap_bytes)
    text += " cap=" + (*rules.cap_bytes == 0 ? std::string("none") : FormatSize(*rules.cap_bytes));
  return text;
}

}  // namespace forge
