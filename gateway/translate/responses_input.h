#pragma once

#include <forge/v1/forge.pb.h>

#include <string>

#include "gateway/json_fields.h"
#include "gateway/translate/conversation_writer.h"
#include "kernels/base/status.h"

namespace forge::gateway {

// Reads `instructions` and `input` of the Responses API: a text, or messages, thoughts, calls of
// functions and their results. Parts that are no text, and items of other types, are refused by
// name; nothing that an item points to is fetched.
Status ReadResponsesInput(const Fields& body, ConversationWriter& conversation);

// A thought as clients keep it that send none back in the open, Codex for one: what they take for
// encrypted is the thought itself.
std::string SealedThought(const std::string& thought);

}  // namespace forge::gateway
