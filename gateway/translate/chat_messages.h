#pragma once

#include <forge/v1/forge.pb.h>

#include "gateway/json_fields.h"
#include "kernels/base/status.h"

namespace forge::gateway {

// Reads `messages`: their texts, calls of tools and results. Parts that are no text (images, sound,
// files) are refused by name; nothing that a message points to is fetched.
Status ReadMessages(const Fields& body, v1::ChatMessages& chat);

}  // namespace forge::gateway
