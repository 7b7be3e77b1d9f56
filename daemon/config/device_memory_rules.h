#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "daemon/config/config.h"

namespace forge {

// Reads "hip:0 cap=20GiB free_fraction=0.6 reserve=1GiB policy=share": a device, then what is set
// for it, each once. nullopt for anything else.
std::optional<DeviceMemoryRules> ParseDeviceMemoryRules(std::string_view text);
// The text that ParseDeviceMemoryRules reads back.
std::string FormatDeviceMemoryRules(const DeviceMemoryRules& rules);

}  // namespace forge
