#pragma once

#include <vector>

#include "client/commands/command.h"

namespace forge::client {

// Fetches every page of ListModels.
grpc::Status FetchModels(const Connection& connection, bool resident_only,
                         std::vector<v1::Model>& models);

// "ready", "on disk", ...
std::string StateName(v1::ModelState state);

}  // namespace forge::client
