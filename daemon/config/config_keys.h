#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/config/config.h"

namespace forge {

// One key of the configuration: its place in the file and its place in Config.
struct ConfigKey {
  std::string_view path;     // "memory.free_fraction"
  std::string_view allowed;  // completes "must be ..."
  bool is_list = false;
  // Takes over `values`, exactly one unless is_list. False: not allowed, and nothing changes.
  bool (*set)(Config& config, const std::vector<std::string>& values);
  // The values that `set` would read back.
  std::vector<std::string> (*get)(const Config& config);
};

// All keys, in the order of config.yaml. The only list of them.
std::span<const ConfigKey> ConfigKeys();
// nullptr if there is no such key.
const ConfigKey* FindConfigKey(std::string_view path);
// The names that may follow `section` ("" is the top): "policy, free_fraction, reserve, cap".
std::string NamesInSection(std::string_view section);

}  // namespace forge
