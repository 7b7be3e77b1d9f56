#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "engine/grammar/grammar.h"
#include "engine/grammar/json_text.h"

namespace forge {

// The strings that a regular expression matches, or why there are none.
struct RegexTexts {
  std::string problem;        // empty: the rest is set
  GrammarNodeId content = 0;  // within a JSON string, without the quotes
  // Characters of its strings; Grammar::kUnbounded: any number.
  uint32_t min_length = 0, max_length = 0;
};

// Translates a schema's `pattern`: ECMA-262 without look-around, back references, word boundaries
// and properties. Like there, a pattern without ^ or $ may match anywhere in the string.
//
// Where engines differ, only what all agree upon is written: \d, \w and \s are ASCII, and their
// complements printable ASCII. `least` and `most` bound the length of the strings; where the
// pattern itself is not within them, it must be one repeated character class, else that is the
// problem.
RegexTexts CompileRegex(std::string_view pattern, uint32_t least, uint32_t most, Grammar& grammar,
                        JsonText& text);

}  // namespace forge
