#pragma once

#include <string_view>

#include "engine/text/jinja/value.h"
#include "kernels/base/result.h"

namespace forge::jinja {

// Reads JSON (RFC 8259) as a value whose strings are said in the conversation. Of equal keys the
// last counts; integers beyond 64 bits become floats. kInvalidArgument saying at which byte what is
// wrong, and for what nests deeper than the budget's limits allow.
Result<Value> ReadJson(std::string_view json, Budget& budget);

}  // namespace forge::jinja
