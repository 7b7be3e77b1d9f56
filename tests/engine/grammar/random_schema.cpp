#include "tests/engine/grammar/random_schema.h"

#include <random>
#include <string>
#include <vector>

namespace forge::testing {
namespace {

using Json = nlohmann::ordered_json;

class Writer {
 public:
  explicit Writer(uint64_t seed) : random_(seed) {}

  Json Root() {
    Json schema = Schema(3);
    if (n_definitions_ == 0) return schema;
    // What $ref refers to; the last one refers to itself, behind an optional property.
    Json root = {{"$defs", Json::object()}, {"allOf", Json::array({schema})}};
    root["$defs"]["leaf"] = Scalar();
    root["$defs"]["list"] = {
        {"type", "object"},
        {"properties", {{"v", Integer()}, {"next", {{"$ref", "#/$defs/list"}}}}},
        {"required", {"v"}}};
    return root;
  }

 private:
  int Pick(int n) { return static_cast<int>(random_() % static_cast<uint64_t>(n)); }
  bool Chance(int percent) { return Pick(100) < percent; }

  Json Schema(int depth) {
    const int kind = Pick(depth > 0 ? 14 : 6);
    if (kind < 6) return Scalar();
    if (kind < 9) return Object(depth - 1);
    if (kind < 11) return Array(depth - 1);
    if (kind == 11) return AnyOf(depth - 1);
    if (kind == 12) return OneOf(depth - 1);
    ++n_definitions_;
    return {{"$ref", Chance(50) ? "#/$defs/leaf" : "#/$defs/list"}};
  }

  Json Scalar() {
    switch (Pick(9)) {
      case 0:
        return {{"type", "boolean"}};
      case 1:
        return {{"type", Json::array({"null", "integer"})}, {"minimum", Pick(10)}};
      case 2:
        return {{"enum", Json::array({"a", "b c", "\"quoted\"", Pick(1000), nullptr, 2.5})}};
      case 3:
        return {{"const", Chance(50) ? Json("constant \xc3\xa9") : Json({{"k", {1, 2}}})}};
      case 4:
        return Number();
      case 5:
      case 6:
        return Integer();
      default:
        return String();
    }
  }

  Json Integer() {
    Json schema = {{"type", "integer"}};
    const int least = Pick(400) - 200;
    if (Chance(60)) schema[Chance(50) ? "minimum" : "exclusiveMinimum"] = least;
    if (Chance(60)) schema[Chance(50) ? "maximum" : "exclusiveMaximum"] = least + 2 + Pick(5000);
    return schema;
  }

  Json Number() {
    Json schema = {{"type", "number"}};
    const double least = (Pick(4000) - 2000) / 64.0;
    if (Chance(60)) schema[Chance(50) ? "minimum" : "exclusiveMinimum"] = least;
    if (Chance(60))
      schema[Chance(50) ? "maximum" : "exclusiveMaximum"] = least + 0.25 + Pick(100) / 8.0;
    return schema;
  }

  Json String() {
    static const std::vector<std::string> patterns = {
        "^[A-Z][a-z]{1,8}$", "^\\d{3}-\\d{4}$",         "^(red|green|blue)$",
        "^#[0-9a-f]{6}$",    "^[a-z]+(_[a-z]+){0,2}!$", "^x?y*z{2}\\.\\w$"};
    static const std::vector<std::string> formats = {"date", "time", "date-time", "uuid", "email"};
    Json schema = {{"type", "string"}};
    if (Chance(30)) {
      schema["pattern"] = patterns[static_cast<size_t>(Pick(static_cast<int>(patterns.size())))];
    } else if (Chance(30)) {
      schema["format"] = formats[static_cast<size_t>(Pick(static_cast<int>(formats.size())))];
    } else {
      const int least = Pick(5);
      if (Chance(50)) schema["minLength"] = least;
      schema["maxLength"] = least + Pick(8);
    }
    return schema;
  }

  Json Object(int depth) {
    Json schema = {{"type", "object"}, {"properties", Json::object()}};
    Json required = Json::array();
    const int n = Pick(5);
    for (int i = 0; i < n; ++i) {
      const std::string name = i == 2 ? "na\"me \xe2\x82\xac" : "p" + std::to_string(i);
      schema["properties"][name] = Schema(depth);
      if (Chance(60)) required.push_back(name);
    }
    if (Chance(70)) schema["required"] = required;
    if (Chance(30)) schema["additionalProperties"] = false;
    if (Chance(20)) {
      // A second opinion on the first property.
      Json more = {{"properties", {{"p0", {{"title", "narrowed"}}}}}};
      if (Chance(50)) more["required"] = {"p0"};
      schema["allOf"] = Json::array({more});
      if (!schema["properties"].contains("p0")) schema["properties"]["p0"] = Scalar();
    }
    return schema;
  }

  Json Array(int depth) {
    Json schema = {{"type", "array"}};
    const int least = Pick(3);
    if (Chance(40)) {
      schema["prefixItems"] = Json::array({Schema(depth), Scalar()});
      if (Chance(50)) schema["items"] = false;
      schema["minItems"] = std::min(least, 2);
      return schema;
    }
    schema["items"] = Schema(depth);
    if (Chance(50)) schema["minItems"] = least;
    schema["maxItems"] = least + Pick(3);
    return schema;
  }

  Json AnyOf(int depth) {
    Json branches = Json::array();
    for (int i = 0; i < 2 + Pick(2); ++i) branches.push_back(Schema(depth));
    return {{"anyOf", branches}};
  }

  Json OneOf(int depth) {
    Json branches = Json::array();
    for (int i = 0; i < 2 + Pick(2); ++i)
      branches.push_back(
          {{"type", "object"},
           {"properties",
            {{"kind", {{"const", "k" + std::to_string(i)}}}, {"value", Schema(depth)}}},
           {"required", {"kind", "value"}}});
    return {{"oneOf", branches}};
  }

  std::mt19937_64 random_;
  int n_definitions_ = 0;
};

}  // namespace

Json RandomSchema(uint64_t seed) { return Writer(seed).Root(); }

}  // namespace forge::testing
