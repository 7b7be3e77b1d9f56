#pragma once

#include <forge/v1/forge.pb.h>

#include "gateway/json_fields.h"
#include "kernels/base/result.h"

namespace forge::gateway {

// A function that the model may call. `schema`: the field that describes its arguments; without it
// there are none.
Result<v1::Tool> ReadFunction(const Fields& fields, const char* schema);

}  // namespace forge::gateway
