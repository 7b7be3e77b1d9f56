#pragma once

#include <string>

#include "client/commands/command.h"

namespace forge::client {

// Fetches every page of ListModels, as if they were one.
grpc::Status FetchModels(const Connection& connection, bool resident_only,
                         v1::ListModelsResponse& all);

// "ready", "on disk", ...
std::string StateName(v1::ModelState state);

// How long a model stays: "pinned", "forever", "5m after use" while it is used, "in 4m 10s".
std::string UntilText(const v1::Residency& residency, int64_t now_seconds);

}  // namespace forge::client
