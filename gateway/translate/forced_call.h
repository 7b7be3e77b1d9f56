#pragma once

#include <forge/v1/forge.pb.h>

#include <optional>
#include <string>

#include "gateway/json_fields.h"
#include "kernels/base/result.h"

namespace forge::gateway {

// A call of a tool that `tool_choice` demands. The answer is held to its arguments, and so is
// nothing but the call.
struct ForcedCall {
  std::string id;
  std::string function;  // empty: one of several, and the answer names it
};

// What `tool_choice` says, in whatever shape an API has it.
struct ToolChoice {
  bool shows_tools = true;
  bool demands_call = false;
  std::string function;                                      // that is to be called; empty: any
  const char* function_field = "tool_choice.function.name";  // of the request
};
// The choice, where it is absent or "auto", "none" or "required"; nullopt where it is anything
// else.
std::optional<ToolChoice> ReadPlainChoice(const Json* choice);
// In the shape of chat completions.
Result<ToolChoice> ReadToolChoice(const Fields& body);

// Holds the answer of `turn` to a call that `choice` demands, of one of the tools in it.
// kInvalidArgument naming `tool_choice` where there is no such tool, or a grammar already.
Result<ForcedCall> ForceCall(const ToolChoice& choice, v1::GenerateRequest::Turn& turn);

// Moves the answer `text` into `finished` as the call, whole or cut off; what remains of the text
// is no call.
void TakeForcedCall(const ForcedCall& call, std::string& text,
                    v1::GenerateResponse::Finished& finished);

}  // namespace forge::gateway
