#pragma once

#include "engine/grammar/constraint_compiler.h"
#include "engine/runtime/engine.h"
#include "engine/text/tokenizer.h"

namespace forge {

// What an answer is held to; null: nothing.
struct TurnConstraints {
  ConstraintPtr answer;  // all of it
  ConstraintPtr calls;   // the calls of tools in it
};

// The request's constraints, ready for its turn. Errors of the compiler.
Result<TurnConstraints> CompileConstraints(const GenerateRequest& request,
                                           const Tokenizer& tokenizer,
                                           ConstraintCompiler& compiler);

}  // namespace forge
