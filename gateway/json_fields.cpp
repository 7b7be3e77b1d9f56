#include "gateway/json_fields.h"

#include <cmath>
#include <limits>
#include <vector>

namespace forge::gateway {

namespace {

constexpr size_t kMaxLevels = 100;
constexpr size_t kMaxContainers = 100'000;  // each takes many times its two bytes of text
constexpr size_t kMaxNames = 1024;  // looking one up is linear in a Json that keeps their order

// Looks over a text before it is parsed: counts its levels and names, and stops where there are too
// many. Apart from the parser, whose own callbacks look at all the items of an array at the end of
// each object in it.
class ShapeCheck final : public Json::json_sax_t {
 public:
  // What is too much; empty: nothing.
  const std::string& problem() const { return problem_; }

  bool start_object(size_t /*size*/) override { return Open(); }
  bool start_array(size_t /*size*/) override { return Open(); }
  bool end_object() override { return Close(); }
  bool end_array() override { return Close(); }
  bool key(string_t& /*name*/) override {
    return ++n_names_.back() <= kMaxNames || Fail("an object of more than", kMaxNames, "names");
  }
  bool null() override { return true; }
  bool boolean(bool /*value*/) override { return true; }
  bool number_integer(number_integer_t /*value*/) override { return true; }
  bool number_unsigned(number_unsigned_t /*value*/) override { return true; }
  bool number_float(number_float_t /*value*/, const string_t& /*text*/) override { return true; }
  bool string(string_t& /*value*/) override { return true; }
  bool binary(binary_t& /*value*/) override { return true; }
  // The parser finds it again, and says what is wrong.
  bool parse_error(size_t, const std::string&, const nlohmann::detail::exception&) override {
    return false;
  }

 private:
  bool Open() {
    n_names_.push_back(0);
    if (n_names_.size() > kMaxLevels)
      return Fail("more than", kMaxLevels, "levels of objects and arrays");
    return ++n_containers_ <= kMaxContainers ||
           Fail("more than", kMaxContainers, "objects and arrays");
  }
  bool Close() {
    n_names_.pop_back();
    return true;
  }
  bool Fail(const std::string& what, size_t most, const char* of) {
    problem_ = "it has " + what + " " + std::to_string(most) + " " + of;
    return false;
  }

  std::vector<size_t> n_names_;  // of the objects that are open
  size_t n_containers_ = 0;
  std::string problem_;
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
    ShapeCheck shape;
    Json::sax_parse(body, &shape);
    if (!shape.problem().empty()) return BadBody(shape.problem());
    Json json = Json::parse(body);
    if (json.is_object()) return json;
    return BadBody(std::string("it is a JSON ") + json.type_name() + ", and must be an object");
  } catch (const Json::exception& error) {
    return BadBody("it is no JSON: " + WithoutPrefix(error.what()));
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
