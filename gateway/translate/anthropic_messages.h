#pragma once

#include <forge/v1/forge.pb.h>

#include "gateway/json_fields.h"
#include "gateway/translate/conversation_writer.h"
#include "kernels/base/status.h"

namespace forge::gateway {

// Reads `system` and `messages` of Anthropic's API: texts, thoughts, uses of tools and their
// results. Blocks of other types (images, documents) are refused by name; nothing that a block
// points to is fetched.
Status ReadAnthropicMessages(const Fields& body, ConversationWriter& conversation);

}  // namespace forge::gateway
