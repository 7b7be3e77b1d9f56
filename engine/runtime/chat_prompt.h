#pragma once

#include <span>

#include "engine/runtime/engine.h"
#include "engine/text/jinja/text.h"
#include "engine/text/tokenizer.h"

namespace forge {

// The tokens that make a session's sequence `cached` the conversation `rendered`, computing as
// little as possible again.
//
// Where the rendering goes on from the text of the cached tokens, only what follows is new. Where
// it does not (a template that drops what the model thought in earlier turns), the sequence goes
// back to the longest prefix that both have.
ChatPrompt FitToCache(const Tokenizer& tokenizer, const jinja::Text& rendered,
                      std::span<const TokenId> cached);

// The tokens of a rendering on its own.
std::vector<TokenId> EncodeRendered(const Tokenizer& tokenizer, const jinja::Text& rendered);

}  // namespace forge
