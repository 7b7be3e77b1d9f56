#pragma once

#include <forge/v1/forge.pb.h>

#include <string>
#include <vector>

#include "daemon/residency/residency.h"
#include "engine/runtime/engine.h"

namespace forge {

// The tokens of a text to read. `field` names it in errors: kInvalidArgument (reason
// INVALID_REQUEST) if there is nothing to read, kOutOfRange (reason CONTEXT_LENGTH_EXCEEDED) if it
// is longer than the model's context; else as Engine::Tokenize.
Result<std::vector<TokenId>> TokensOf(const Engine& engine, const ModelSnapshot& model,
                                      const v1::TextInput& input, const std::string& field);

}  // namespace forge
