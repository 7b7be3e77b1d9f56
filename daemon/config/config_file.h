#pragma once

#include <string>
#include <string_view>

#include "daemon/config/config.h"
#include "kernels/base/result.h"

namespace forge {

// Puts what the YAML `text` sets into `config`. kInvalidArgument with "file:line:column: ..." for
// malformed YAML, an unknown or repeated key, a wrong type or a value out of range; `file_name` is
// for messages.
Status ApplyConfigText(std::string_view text, const std::string& file_name, Config& config);

// The same with a file's contents. kNotFound if there is no such file, kInvalidArgument if it
// cannot be read or is larger than 1 MiB.
Status ApplyConfigFile(const std::string& path, Config& config);

// Writes every key with its value as YAML that ApplyConfigText reads back.
std::string PrintConfig(const Config& config);

}  // namespace forge
