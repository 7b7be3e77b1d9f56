#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>

namespace forge::testing {

// A schema that some value satisfies, of any of the supported keywords, whose values are short even
// when they are written at random. The same seed gives the same schema.
nlohmann::ordered_json RandomSchema(uint64_t seed);

}  // namespace forge::testing
