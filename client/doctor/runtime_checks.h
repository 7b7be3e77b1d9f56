#pragma once

#include <optional>
#include <string>

#include "client/doctor/finding.h"

namespace forge::client {

// Runs `forged --probe-gpus` and says what forged would find: the plug-in, the runtime's version,
// and of every GPU its instruction set, both readings of free memory, whether it shares the host's
// memory, and its self-test. `forged` is the program's path; `config` its configuration file, or
// empty for its default. It is ended after 30 s, as a runtime that hangs must not hang this.
Findings CheckRuntime(const std::string& forged, const std::string& config);

// What the report of `forged --probe-gpus` means.
Findings ReadProbe(const std::string& report);

// forged next to this program, else the one that PATH finds.
std::string FindForged();

}  // namespace forge::client
