#pragma once

#include <span>
#include <string_view>

#include "engine/grammar/grammar.h"
#include "engine/grammar/output_constraint.h"
#include "engine/text/chat_messages.h"
#include "engine/text/tool_format.h"
#include "kernels/base/result.h"

namespace forge {

// Whether a format's calls are JSON; others cannot be held to anything.
bool CanHoldCalls(ToolFormat format);

// What an answer must be like from behind the marker that begins calls of `tools` to their end:
// each names one of the tools, its arguments are an object, and of a strict tool they satisfy its
// schema. With channels the text begins with the name of the function and a line break.
//
// `end`: the text that ends them; empty where a token ends them. REQUIRES: CanHoldCalls, and tools.
OutputConstraint MakeCallConstraint(ToolFormat format, std::string_view end,
                                    std::span<const ChatTool> tools);

// The grammar of the text of such a constraint. Errors of CompileJsonSchema, naming the tool.
Result<Grammar> CompileToolCalls(std::string_view text);

}  // namespace forge
