#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "gateway/api_error.h"
#include "kernels/base/result.h"

namespace forge::gateway {

// Keeps the order of names, which a JSON schema gives to the answer.
using Json = nlohmann::ordered_json;

// The object in a request's body. Refused are texts that are no JSON or no object, and those whose
// shape would cost too much: more than 100 levels, 100,000 objects and arrays, or 1024 names in one
// object.
Result<Json> ParseBody(const std::string& body);

// JSON as text; strings that are no UTF-8 are mended.
std::string Dump(const Json& json);

// The fields of an object. One that is absent or null is unset, as in OpenAI's own API; one of
// another type is refused by name. `path` goes before the name: "messages[2].".
struct Fields {
  const Json& object;
  std::string path;

  // nullptr: unset.
  const Json* Find(const char* name) const;
  std::string NameOf(const char* name) const { return path + name; }

  Result<std::optional<bool>> Bool(const char* name) const;
  // A whole number, also where it is written with a point: 256.0.
  Result<std::optional<int64_t>> Integer(const char* name) const;
  // A number that a float can hold.
  Result<std::optional<float>> Number(const char* name) const;
  Result<std::optional<std::string>> Text(const char* name) const;
  // nullptr: unset.
  Result<const Json*> Object(const char* name) const;
  Result<const Json*> Array(const char* name) const;
};

}  // namespace forge::gateway
