#pragma once

#include <string_view>

#include "engine/grammar/grammar.h"
#include "kernels/base/result.h"

namespace forge {

// Turns a JSON schema (draft 2020-12) into a grammar whose texts are JSON that validates.
//
// The grammar may allow less than the schema does (docs/constrained-output.md says where), never
// more: what it cannot hold to is refused. kInvalidArgument with the JSON pointer of the place
// (detail "pointer"): reason SCHEMA_INVALID for what is no JSON or no schema, SCHEMA_UNSUPPORTED
// for a keyword that is not supported or not in this combination (detail "keyword"),
// GRAMMAR_TOO_COMPLEX past a limit.
Result<Grammar> CompileJsonSchema(std::string_view text);

}  // namespace forge
