#pragma once

#include <string_view>

#include "engine/gguf/gguf_metadata.h"
#include "kernels/base/result.h"

namespace forge {

// A chat template of ours, for files that have none.
struct ChatBuiltin {
  std::string_view name;  // "chatml"
  std::string_view source;
};

// The built-in whose control tokens the vocabulary has, else that of the file's family, else
// ChatML. kInvalidArgument (reason MODEL_FILE_INVALID) if a key it reads is malformed.
Result<const ChatBuiltin*> ChooseChatBuiltin(const GgufMetadata& metadata);

}  // namespace forge
