#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace forge::testing {

// Judges whether a value satisfies a JSON schema, keyword by keyword as the specification says,
// with nothing of engine/grammar/. Knows the keywords that RandomSchema writes. Returns what is
// wrong, or an empty text. Throws for a keyword that it does not know.
std::string Violation(const nlohmann::ordered_json& schema, const nlohmann::ordered_json& root,
                      const nlohmann::ordered_json& value);

}  // namespace forge::testing
