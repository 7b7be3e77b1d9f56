#include "engine/arch/key_reader.h"

#include <algorithm>
#include <type_traits>
#include <utility>
#include <vector>

#include "kernels/base/check.h"

namespace forge {
namespace {

// The elements of an integer array; nullopt if it holds something else or a negative number.
struct UnsignedElements {
  using Elements = std::optional<std::vector<uint64_t>>;

  template <typename T>
  Elements operator()(const std::vector<T>& numbers) const {
    if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) {
      const auto is_negative = [](T number) { return std::cmp_less(number, 0); };
      if (std::ranges::none_of(numbers, is_negative))
        return std::vector<uint64_t>(numbers.begin(), numbers.end());
    }
    return std::nullopt;
  }
  Elements operator()(const GgufStrings&) const { return std::nullopt; }
};

Status OutOfRange(const GgufField& field, KeyReader::Range range) {
  return InvalidField("the key needs a value from " + std::to_string(range.min) + " to " +
                          std::to_string(range.max),
                      field);
}

// The elements of an array of flags; nullopt if it holds something else.
struct FlagElements {
  using Elements = std::optional<std::vector<bool>>;

  Elements operator()(const std::vector<bool>& flags) const { return flags; }
  template <typename T>
  Elements operator()(const std::vector<T>& numbers) const {
    const auto is_flag = [](T number) { return number == T{0} || number == T{1}; };
    if (!std::is_integral_v<T> || !std::ranges::all_of(numbers, is_flag)) return std::nullopt;
    return std::vector<bool>(numbers.begin(), numbers.end());
  }
  Elements operator()(const GgufStrings&) const { return std::nullopt; }
};

}  // namespace

GgufField KeyReader::Field(std::string_view name) const {
  const std::string key = Key(name);
  const GgufValue* const value = metadata_.Find(key);
  FORGE_CHECK(value != nullptr, key);
  return {key, DescribeValue(*value), value->offset};
}

Result<std::optional<uint32_t>> KeyReader::Optional(std::string_view name, Range range) const {
  read_.emplace(name);
  FORGE_ASSIGN_OR_RETURN(const std::optional<uint32_t> value, metadata_.Uint32(Key(name)));
  if (value && (*value < range.min || *value > range.max)) return OutOfRange(Field(name), range);
  return value;
}

Result<uint32_t> KeyReader::Required(std::string_view name, Range range) const {
  FORGE_ASSIGN_OR_RETURN(const std::optional<uint32_t> value, Optional(name, range));
  if (!value) return MissingField("the key is required", Key(name));
  return *value;
}

Result<uint32_t> KeyReader::OptionalOr(std::string_view name, uint32_t fallback,
                                       Range range) const {
  FORGE_ASSIGN_OR_RETURN(const std::optional<uint32_t> value, Optional(name, range));
  return value.value_or(fallback);
}

Result<double> KeyReader::PositiveOr(std::string_view name, double fallback) const {
  FORGE_ASSIGN_OR_RETURN(const std::optional<double> value, Float(name));
  if (value && !(*value > 0)) return InvalidField("the key needs a value above 0", Field(name));
  return value.value_or(fallback);
}

Result<double> KeyReader::PositiveUnlessZeroOr(std::string_view name, double fallback) const {
  FORGE_ASSIGN_OR_RETURN(const std::optional<double> value, Float(name));
  if (value && *value < 0)
    return InvalidField("the key needs a value above 0, or 0 for none", Field(name));
  return value.value_or(0.0) == 0.0 ? fallback : *value;
}

Result<double> KeyReader::RequiredPositive(std::string_view name) const {
  if (!metadata_.Has(Key(name))) return MissingField("the key is required", Key(name));
  return PositiveOr(name, 0.0);
}

GgufField KeyReader::Element(std::string_view name, uint64_t element) const {
  GgufField field = Field(name);
  field.value = std::to_string(element);
  return field;
}

Result<std::optional<std::vector<uint32_t>>> KeyReader::OfLayers(std::string_view name,
                                                                 uint32_t n_layers,
                                                                 Range range) const {
  using Numbers = std::optional<std::vector<uint32_t>>;
  const GgufValue* const value = metadata_.Find(Key(name));
  if (value == nullptr || value->type != GgufType::kArray) {
    FORGE_ASSIGN_OR_RETURN(const std::optional<uint32_t> number, Optional(name, range));
    return number ? Numbers(std::vector<uint32_t>(n_layers, *number)) : Numbers();
  }
  read_.emplace(name);
  const auto& array = std::get<GgufArray>(value->value);
  std::optional<std::vector<uint64_t>> elements;
  if (array.size() == n_layers) elements = std::visit(UnsignedElements{}, array.values);
  if (!elements)
    return InvalidField("the key needs an unsigned integer, or one for each of " +
                            std::to_string(n_layers) + " layers",
                        Field(name));
  for (const uint64_t element : *elements)
    if (element < range.min || element > range.max)
      return OutOfRange(Element(name, element), range);
  return Numbers(std::vector<uint32_t>(elements->begin(), elements->end()));
}

Result<std::optional<uint32_t>> KeyReader::UniformOverLayers(std::string_view name,
                                                             uint32_t n_layers, Range range) const {
  FORGE_ASSIGN_OR_RETURN(const std::optional<std::vector<uint32_t>> numbers,
                         OfLayers(name, n_layers, range));
  if (!numbers) return std::optional<uint32_t>();
  for (const uint32_t number : *numbers)
    if (number != numbers->front())
      return UnsupportedField("layers that differ in this key are not supported",
                              Element(name, number));
  return std::optional<uint32_t>(numbers->front());
}

Result<std::optional<std::vector<bool>>> KeyReader::FlagsOfLayers(std::string_view name,
                                                                  uint32_t n_layers) const {
  const GgufValue* const value = metadata_.Find(Key(name));
  if (value == nullptr || value->type != GgufType::kArray)
    return std::optional<std::vector<bool>>();
  read_.emplace(name);
  const auto& array = std::get<GgufArray>(value->value);
  std::optional<std::vector<bool>> flags;
  if (array.size() == n_layers) flags = std::visit(FlagElements{}, array.values);
  if (!flags)
    return InvalidField("the key needs a number, or true or false for each of " +
                            std::to_string(n_layers) + " layers",
                        Field(name));
  return flags;
}

Result<std::optional<std::vector<uint64_t>>> KeyReader::Unsigned(std::string_view name) const {
  read_.emplace(name);
  const GgufValue* const value = metadata_.Find(Key(name));
  if (value == nullptr) return std::optional<std::vector<uint64_t>>();
  std::optional<std::vector<uint64_t>> elements;
  if (value->type == GgufType::kArray)
    elements = std::visit(UnsignedElements{}, std::get<GgufArray>(value->value).values);
  if (!elements) return InvalidField("the key needs an array of unsigned integers", Field(name));
  return elements;
}

Result<std::optional<bool>> KeyReader::Bool(std::string_view name) const {
  read_.emplace(name);
  return metadata_.Bool(Key(name));
}

Result<std::optional<std::string_view>> KeyReader::String(std::string_view name) const {
  read_.emplace(name);
  return metadata_.String(Key(name));
}

Result<std::optional<double>> KeyReader::Float(std::string_view name) const {
  read_.emplace(name);
  return metadata_.Float(Key(name));
}

}  // namespace forge
