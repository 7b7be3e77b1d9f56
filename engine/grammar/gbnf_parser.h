#pragma once

#include <string_view>

#include "engine/grammar/grammar.h"
#include "kernels/base/result.h"

namespace forge {

// Reads a grammar in llama.cpp's notation (GBNF), whose root rule is "root".
//
// kInvalidArgument (reason GRAMMAR_INVALID) with line and column of what is malformed, of a rule
// that is not defined or of one defined twice; details "line" and "column". kInvalidArgument
// (reason GRAMMAR_TOO_COMPLEX) past a limit of grammar_limits.h. What the grammar means is
// CheckGrammar's business.
Result<Grammar> ParseGbnf(std::string_view text);

}  // namespace forge
