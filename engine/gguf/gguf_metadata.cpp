#include "engine/gguf/gguf_metadata.h"

#include <cmath>
#include <limits>
#include <utility>

#include "engine/gguf/gguf_fault.h"
#include "kernels/base/check.h"

namespace forge {
namespace {

std::string DescribeArray(const GgufArray& array) {
  return "array of " + std::to_string(array.size()) + " " +
         std::string(GgufTypeName(array.element_type));
}

GgufField FieldOf(std::string_view key, const GgufValue& value) {
  return {EscapeText(key), DescribeValue(value), value.offset};
}

Status WrongType(std::string_view key, const GgufValue& value, std::string_view expected) {
  return InvalidField("the key needs a value of type " + std::string(expected) + ", not " +
                          std::string(GgufTypeName(value.type)),
                      FieldOf(key, value));
}

Status OutOfRangeElement(std::string_view key, const GgufValue& value, size_t index) {
  return InvalidField(
      "element " + std::to_string(index) + " of the array does not fit its type or is not finite",
      FieldOf(key, value));
}

}  // namespace

std::string DescribeValue(const GgufValue& value) {
  struct Visitor {
    std::string operator()(int64_t v) const { return std::to_string(v); }
    std::string operator()(uint64_t v) const { return std::to_string(v); }
    std::string operator()(double v) const { return std::to_string(v); }
    std::string operator()(bool v) const { return v ? "true" : "false"; }
    std::string operator()(const std::string& v) const { return QuoteText(v); }
    std::string operator()(const GgufArray& v) const { return DescribeArray(v); }
  };
  return std::visit(Visitor{}, value.value);
}

std::string_view GgufTypeName(GgufType type) {
  constexpr std::string_view kNames[] = {"UINT8",  "INT8",    "UINT16", "INT16",  "UINT32",
                                         "INT32",  "FLOAT32", "BOOL",   "STRING", "ARRAY",
                                         "UINT64", "INT64",   "FLOAT64"};
  const auto index = static_cast<uint32_t>(type);
  return index < std::size(kNames) ? kNames[index] : "UNKNOWN";
}

GgufStrings::GgufStrings(std::string text, std::vector<uint64_t> ends)
    : text_(std::move(text)), ends_(std::move(ends)) {
  FORGE_CHECK((ends_.empty() ? 0 : ends_.back()) == text_.size(), "the last string ends the text");
}

std::string_view GgufStrings::operator[](size_t index) const {
  const uint64_t begin = index == 0 ? 0 : ends_[index - 1];
  return std::string_view(text_).substr(begin, ends_[index] - begin);
}

size_t GgufArray::size() const {
  return std::visit([](const auto& elements) { return elements.size(); }, values);
}

Status GgufMetadata::Add(std::string key, GgufValue value) {
  const auto [entry, is_new] = values_.try_emplace(std::move(key), std::move(value));
  if (!is_new)  // try_emplace left `value` alone
    return InvalidField(
        "a key appears once; the first is at byte " + std::to_string(entry->second.offset),
        FieldOf(entry->first, value));  // NOLINT(bugprone-use-after-move)
  keys_.push_back(entry->first);
  return Status();
}

const GgufValue* GgufMetadata::Find(std::string_view key) const {
  const auto found = values_.find(key);
  return found != values_.end() ? &found->second : nullptr;
}

Result<std::optional<uint64_t>> GgufMetadata::Uint64(std::string_view key) const {
  const GgufValue* const value = Find(key);
  if (value == nullptr) return std::optional<uint64_t>();
  if (const auto* number = std::get_if<uint64_t>(&value->value))
    return std::optional<uint64_t>(*number);
  const auto* const number = std::get_if<int64_t>(&value->value);
  if (number == nullptr) return WrongType(key, *value, "unsigned integer");
  if (*number < 0) return InvalidField("the key needs a value of at least 0", FieldOf(key, *value));
  return std::optional<uint64_t>(static_cast<uint64_t>(*number));
}

Result<std::optional<uint32_t>> GgufMetadata::Uint32(std::string_view key) const {
  FORGE_ASSIGN_OR_RETURN(const std::optional<uint64_t> wide, Uint64(key));
  if (!wide) return std::optional<uint32_t>();
  if (*wide > std::numeric_limits<uint32_t>::max())
    return InvalidField("the key needs a value below 2^32", FieldOf(key, *Find(key)));
  return std::optional<uint32_t>(static_cast<uint32_t>(*wide));
}

Result<std::optional<double>> GgufMetadata::Float(std::string_view key) const {
  const GgufValue* const value = Find(key);
  if (value == nullptr) return std::optional<double>();
  const auto* const number = std::get_if<double>(&value->value);
  if (number == nullptr) return WrongType(key, *value, "FLOAT32 or FLOAT64");
  if (!std::isfinite(*number))
    return InvalidField("the key needs a finite value", FieldOf(key, *value));
  return std::optional<double>(*number);
}

Result<std::optional<bool>> GgufMetadata::Bool(std::string_view key) const {
  const GgufValue* const value = Find(key);
  if (value == nullptr) return std::optional<bool>();
  const auto* const truth = std::get_if<bool>(&value->value);
  if (truth == nullptr) return WrongType(key, *value, "BOOL");
  return std::optional<bool>(*truth);
}

Result<std::optional<std::string_view>> GgufMetadata::String(std::string_view key) const {
  const GgufValue* const value = Find(key);
  if (value == nullptr) return std::optional<std::string_view>();
  const auto* const text = std::get_if<std::string>(&value->value);
  if (text == nullptr) return WrongType(key, *value, "STRING");
  return std::optional<std::string_view>(*text);
}

Result<const GgufArray*> GgufMetadata::Array(std::string_view key) const {
  const GgufValue* const value = Find(key);
  if (value == nullptr) return static_cast<const GgufArray*>(nullptr);
  const auto* const array = std::get_if<GgufArray>(&value->value);
  if (array == nullptr) return WrongType(key, *value, "ARRAY");
  return array;
}

Result<const GgufStrings*> GgufMetadata::StringArray(std::string_view key) const {
  FORGE_ASSIGN_OR_RETURN(const GgufArray* const array, Array(key));
  if (array == nullptr) return static_cast<const GgufStrings*>(nullptr);
  const auto* const texts = std::get_if<GgufStrings>(&array->values);
  if (texts == nullptr) return WrongType(key, *Find(key), "ARRAY of STRING");
  return texts;
}

Result<std::optional<std::vector<float>>> GgufMetadata::FloatArray(std::string_view key) const {
  FORGE_ASSIGN_OR_RETURN(const GgufArray* const array, Array(key));
  if (array == nullptr) return std::optional<std::vector<float>>();
  const auto narrow = [&](const auto& numbers) -> Result<std::optional<std::vector<float>>> {
    std::vector<float> floats;
    floats.reserve(numbers.size());
    for (const auto number : numbers) {
      // Converting a double beyond float's range is undefined.
      if (!(std::abs(number) <= std::numeric_limits<float>::max()))
        return OutOfRangeElement(key, *Find(key), floats.size());
      floats.push_back(static_cast<float>(number));
    }
    return std::optional(std::move(floats));
  };
  if (const auto* const floats = std::get_if<std::vector<float>>(&array->values))
    return narrow(*floats);
  if (const auto* const doubles = std::get_if<std::vector<double>>(&array->values))
    return narrow(*doubles);
  return WrongType(key, *Find(key), "ARRAY of FLOAT32");
}

Result<std::optional<std::vector<int32_t>>> GgufMetadata::Int32Array(std::string_view key) const {
  FORGE_ASSIGN_OR_RETURN(const GgufArray* const array, Array(key));
  if (array == nullptr) return std::optional<std::vector<int32_t>>();
  if (const auto* const numbers = std::get_if<std::vector<int32_t>>(&array->values))
    return std::optional(*numbers);
  const auto* const numbers = std::get_if<std::vector<uint32_t>>(&array->values);
  if (numbers == nullptr) return WrongType(key, *Find(key), "ARRAY of INT32 or UINT32");
  for (size_t i = 0; i < numbers->size(); ++i)
    if (!std::in_range<int32_t>((*numbers)[i])) return OutOfRangeElement(key, *Find(key), i);
  return std::optional(std::vector<int32_t>(numbers->begin(), numbers->end()));
}

}  // namespace forge
