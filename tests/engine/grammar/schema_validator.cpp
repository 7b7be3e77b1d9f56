#include "tests/engine/grammar/schema_validator.h"

#include <cmath>
#include <regex>
#include <set>
#include <stdexcept>

namespace forge::testing {
namespace {

using Json = nlohmann::ordered_json;

bool IsType(const Json& value, const std::string& type) {
  if (type == "null") return value.is_null();
  if (type == "boolean") return value.is_boolean();
  if (type == "object") return value.is_object();
  if (type == "array") return value.is_array();
  if (type == "string") return value.is_string();
  if (type == "number") return value.is_number();
  if (type == "integer")
    return value.is_number() && value.get<double>() == std::trunc(value.get<double>());
  throw std::invalid_argument("type " + type);
}

size_t Characters(const std::string& text) {
  size_t n = 0;
  for (const char byte : text) n += (static_cast<unsigned char>(byte) & 0xc0) != 0x80 ? 1 : 0;
  return n;
}

bool IsDate(const std::string& text) {
  int year = 0, month = 0, day = 0, end = 0;
  if (std::sscanf(text.c_str(), "%4d-%2d-%2d%n", &year, &month, &day, &end) != 3) return false;
  const bool is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
  const int days[] = {31, is_leap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  return end == 10 && text.size() == 10 && month >= 1 && month <= 12 && day >= 1 &&
         day <= days[month - 1];
}

bool HasFormat(const std::string& text, const std::string& format) {
  static const std::regex uuid("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}");
  static const std::regex time(
      "([01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(\\.\\d+)?(Z|[+-]([01]\\d|2[0-3]):[0-5]\\d)");
  static const std::regex email("[^@\\s]+@[a-z0-9-]+(\\.[a-z0-9-]+)+");
  if (format == "date") return IsDate(text);
  if (format == "time") return std::regex_match(text, time);
  if (format == "date-time")
    return text.size() > 11 && text[10] == 'T' && IsDate(text.substr(0, 10)) &&
           std::regex_match(text.substr(11), time);
  if (format == "uuid") return std::regex_match(text, uuid);
  if (format == "email") return std::regex_match(text, email);
  throw std::invalid_argument("format " + format);
}

class Validator {
 public:
  explicit Validator(const Json& root) : root_(root) {}

  std::string Check(const Json& schema, const Json& value) const {
    if (schema.is_boolean()) return schema.get<bool>() ? "" : "false allows nothing";
    for (const auto& [keyword, argument] : schema.items())
      if (const std::string problem = CheckKeyword(schema, keyword, argument, value);
          !problem.empty())
        return keyword + ": " + problem;
    return "";
  }

 private:
  bool Passes(const Json& schema, const Json& value) const { return Check(schema, value).empty(); }
  static std::string If(bool is_wrong, const Json& value) { return is_wrong ? value.dump() : ""; }

  std::string CheckKeyword(const Json& schema, const std::string& keyword, const Json& argument,
                           const Json& value) const {
    static const std::set<std::string> silent = {"$defs", "title", "description"};
    if (silent.contains(keyword)) return "";
    if (keyword == "type") return If(!HasType(argument, value), value);
    if (keyword == "const") return If(nlohmann::json(argument) != nlohmann::json(value), value);
    if (keyword == "enum") {
      bool is_listed = false;
      for (const Json& allowed : argument)
        is_listed |= nlohmann::json(allowed) == nlohmann::json(value);
      return If(!is_listed, value);
    }
    if (keyword == "$ref")
      return Check(root_.at(Json::json_pointer(argument.get<std::string>().substr(1))), value);
    if (keyword == "allOf" || keyword == "anyOf" || keyword == "oneOf")
      return CheckChoice(keyword, argument, value);
    if (value.is_string()) return CheckString(keyword, argument, value.get<std::string>());
    if (value.is_number()) return CheckNumber(keyword, argument, value);
    if (value.is_array()) return CheckArray(schema, keyword, argument, value);
    if (value.is_object()) return CheckObject(schema, keyword, argument, value);
    return "";
  }

  static bool HasType(const Json& types, const Json& value) {
    if (types.is_string()) return IsType(value, types.get<std::string>());
    for (const Json& type : types)
      if (IsType(value, type.get<std::string>())) return true;
    return false;
  }

  std::string CheckChoice(const std::string& keyword, const Json& branches,
                          const Json& value) const {
    size_t n = 0;
    for (const Json& branch : branches) n += Passes(branch, value) ? 1 : 0;
    const bool is_right = keyword == "allOf"   ? n == branches.size()
                          : keyword == "anyOf" ? n > 0
                                               : n == 1;
    return If(!is_right, value);
  }

  static std::string CheckString(const std::string& keyword, const Json& argument,
                                 const std::string& value) {
    if (keyword == "minLength") return If(Characters(value) < argument.get<size_t>(), value);
    if (keyword == "maxLength") return If(Characters(value) > argument.get<size_t>(), value);
    if (keyword == "pattern")
      return If(!std::regex_search(value, std::regex(argument.get<std::string>())), value);
    if (keyword == "format") return If(!HasFormat(value, argument.get<std::string>()), value);
    return "";
  }

  static std::string CheckNumber(const std::string& keyword, const Json& argument,
                                 const Json& value) {
    const double number = value.get<double>();
    if (keyword == "minimum") return If(number < argument.get<double>(), value);
    if (keyword == "maximum") return If(number > argument.get<double>(), value);
    if (keyword == "exclusiveMinimum") return If(number <= argument.get<double>(), value);
    if (keyword == "exclusiveMaximum") return If(number >= argument.get<double>(), value);
    return "";
  }

  std::string CheckArray(const Json& schema, const std::string& keyword, const Json& argument,
                         const Json& value) const {
    if (keyword == "minItems") return If(value.size() < argument.get<size_t>(), value);
    if (keyword == "maxItems") return If(value.size() > argument.get<size_t>(), value);
    const size_t n_prefix = schema.contains("prefixItems") ? schema["prefixItems"].size() : 0;
    const size_t begin = keyword == "items" ? n_prefix : 0;
    const size_t end = keyword == "items" ? value.size() : std::min(n_prefix, value.size());
    if (keyword != "items" && keyword != "prefixItems") return "";
    for (size_t i = begin; i < end; ++i)
      if (const std::string problem = Check(keyword == "items" ? argument : argument[i], value[i]);
          !problem.empty())
        return problem;
    return "";
  }

  std::string CheckObject(const Json& schema, const std::string& keyword, const Json& argument,
                          const Json& value) const {
    if (keyword == "required")
      for (const Json& name : argument)
        if (!value.contains(name.get<std::string>())) return "misses " + name.dump();
    if (keyword != "properties" && keyword != "additionalProperties") return "";
    for (const auto& [name, member] : value.items()) {
      const bool is_declared = schema.contains("properties") && schema["properties"].contains(name);
      if (is_declared != (keyword == "properties")) continue;
      const Json& expected = is_declared ? argument[name] : argument;
      if (const std::string problem = Check(expected, member); !problem.empty()) return problem;
    }
    return "";
  }

  const Json& root_;
};

}  // namespace

std::string Violation(const Json& schema, const Json& root, const Json& value) {
  return Validator(root).Check(schema, value);
}

}  // namespace forge::testing
