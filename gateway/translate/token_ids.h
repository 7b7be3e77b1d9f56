#pragma once

#include <forge/v1/forge.pb.h>

#include <string>

#include "gateway/json_fields.h"
#include "kernels/base/status.h"

namespace forge::gateway {

// Reads an array of token ids. `name` is that of the field, for messages.
Status ReadTokenIds(const Json& array, const std::string& name, v1::TokenIds& tokens);

}  // namespace forge::gateway
