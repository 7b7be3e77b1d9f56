#include "gateway/json_fields.h"

#include <cmath>
#include <limits>
#include <stdexcept>
#include <vector>

namespace forge::gateway {

namespace {

constexpr size_t kMaxLevels = 100;
constexpr size_t kMaxNames = 1024;  // looking one up is linear in a Json that keeps their order

// Counts levels and names while the text is parsed, and ends that where there are too many.
class ShapeLimits {
 public:
  bool operator()(int, Json::parse_event_t event, Json&) {
    using Event = Json::parse_event_t;
    switch (event) {
      case Event::object_start:
      case Event::array_start:
        n_names_.push_back(0);
        if (n_names_.size() > kMaxLevels)
          throw std::length_error("it has more than " + std::to_string(kMaxLevels) +
                                  " levels of objects and arrays");
        break;
      case Event::object_end:
      case Event::array_end:
        n_names_.pop_back();
        break;
      case Event::key:
        if (++n_names_.back() > kMaxNames)
          throw std::length_error("it has an object of more than " + std::to_string(kMaxNames) +
                                  " names");
        break;
      case Event::value:
        break;
    }
    return true;
  }

 private:
  std::vector<size_t> n_names_;  // of the objects that are open
};

Status BadBody(const std::string& problem) {
  return InvalidArgument("the body of the request is refused: " + problem)
      .WithReason("INVALID_JSON");
}

// What nlohmann says, without its own prefix "[json.exception.parse_error.101] ".
std::string WithoutPrefix(const std::string& message) {
  const size_t end = message.find("] ");
  return end == std::string::npos ? message : message.substr(end + 2);
}

}  // namespace

Result<Json> ParseBody(const std::string& body) {
  if (body.empty()) return BadBody("it is empty, and must be a JSON object");
  try {
    ShapeLimits limits;
    Json json = Json::parse(body, std::ref(limits));
    if (json.is_object()) return json;
    return BadBody(std::string("it is a JSON ") + json.type_name() + ", and must be an object");
  } catch (const Json::exception& error) {
    return BadBody("it is no JSON: " + WithoutPrefix(error.what()));
  } catch (const std::length_error& error) {
    return BadBody(error.what());
  }
}

std::string Dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

const Json* Fields::Find(const char* name) const {
  const auto found = object.find(name);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

Result<std::optional<bool>> Fields::Bool(const char* name) const {
  const Json* const value = Find(name);
  if (value == nullptr) return std::optional<bool>();
  if (!value->is_boolean()) return BadField(NameOf(name), "must be true or false");
  return std::optional(value->get<bool>());
}

Result<std::optional<int64_t>> Fields::Integer(const char* name) const {
  const Json* const value = Find(name);
  if (value == nullptr) return std::optional<int64_t>();
  if (value->is_number_unsigned() && value->get<uint64_t>() > INT64_MAX)
    return BadField(NameOf(name), "is " + value->dump() + ", which is too large");
  if (value->is_number_integer()) return std::optional(value->get<int64_t>());
  constexpr double kLimit = 9007199254740992.0;  // 2^53: beyond, a double may be another number
  const double number = value->is_number() ? value->get<double>() : std::nan("");
  if (number == std::floor(number) && std::abs(number) <= kLimit)
    return std::optional(static_cast<int64_t>(number));
  return BadField(NameOf(name), "must be a whole number");
}

Result<std::optional<float>> Fields::Number(const char* name) const {
  const Json* const value = Find(name);
  if (value == nullptr) return std::optional<float>();
  if (!value->is_number()) return BadField(NameOf(name), "must be a number");
  const double number = value->get<double>();
  if (std::abs(number) <= static_cast<double>(std::numeric_limits<float>::max()))
    return std::optional(static_cast<float>(number));
  return BadField(NameOf(name), "is " + value->dump() + ", which is too large");
}

Result<std::optional<std::string>> Fields::Text(const char* name) const {
  const Json* const value = Find(name);
  if (value == nullptr) return std::optional<std::string>();
  if (!value->is_string()) return BadField(NameOf(name), "must be a string");
  return std::optional(value->get<std::string>());
}

Result<const Json*> Fields::Object(const char* name) const {
  const Json* const value = Find(name);
  if (value != nullptr && !value->is_object()) return BadField(NameOf(name), "must be an object");
  return value;
}

Result<const Json*> Fields::Array(const char* name) const {
  const Json* const value = Find(name);
  if (value != nullptr && !value->is_array()) return BadField(NameOf(name), "must be an array");
  return value;
}

}  // namespace forge::gateway
