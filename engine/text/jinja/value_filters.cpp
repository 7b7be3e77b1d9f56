#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

#include "engine/text/jinja/native.h"

namespace forge::jinja {
namespace {

using Kind = Value::Kind;

constexpr int64_t kMaxIndent = 1000;

Status NotANumber(NativeCall& call) {
  if (call.self.Is(Kind::kUndefined)) return call.runtime.Fail(call.self.why_undefined());
  return call.runtime.Fail("a number is needed, not '" + std::string(call.self.TypeName()) + "'");
}

Result<Value> Default(NativeCall& call) {
  const bool is_absent =
      call.self.Is(Kind::kUndefined) || (call[1].IsTrue() && !call.self.IsTrue());
  if (!is_absent) return call.self;
  return call.Has(0) ? call[0] : Value(Text());
}

// Digits with single underscores between them and white space around, as Python's int() reads.
std::optional<int64_t> ParseInteger(std::string_view text, int base) {
  text = StripSpace(text, true, true);
  std::string digits;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '_' && i > 0 && i + 1 < text.size() && text[i - 1] != '_') continue;
    digits.push_back(text[i]);
  }
  if (digits.starts_with('+') && !digits.starts_with("+-")) digits.erase(0, 1);
  const std::string_view prefix = base == 16 ? "0x" : base == 8 ? "0o" : base == 2 ? "0b" : "";
  if (!prefix.empty() && digits.size() > 2 && digits[0] == '0' && (digits[1] | 0x20) == prefix[1])
    digits.erase(0, 2);
  int64_t value = 0;
  const char* const end = digits.data() + digits.size();
  const auto result = std::from_chars(digits.data(), end, value, base);
  if (digits.empty() || result.ec != std::errc() || result.ptr != end) return std::nullopt;
  return value;
}

std::optional<double> ParseFloat(std::string_view text) {
  text = StripSpace(text, true, true);
  std::string digits(text);
  std::erase(digits, '_');
  if (digits.starts_with('+') && !digits.starts_with("+-")) digits.erase(0, 1);
  double value = 0.0;
  const char* const end = digits.data() + digits.size();
  const auto result = std::from_chars(digits.data(), end, value);
  if (digits.empty() || result.ec != std::errc() || result.ptr != end) return std::nullopt;
  return value;
}

std::optional<int64_t> Truncate(double value) {
  if (!(value > -9.2e18 && value < 9.2e18)) return std::nullopt;
  return static_cast<int64_t>(value);
}

Result<Value> Int(NativeCall& call) {
  int64_t base = 10;
  if (call.Has(1)) {
    FORGE_ASSIGN_OR_RETURN(base, IntegerArgument(call, 1, "base"));
    if (base < 2 || base > 36) return call.runtime.Fail("argument 'base' must be in 2 to 36");
  }
  const Value fallback = call.Has(0) ? call[0] : Value(int64_t{0});
  std::optional<int64_t> value;
  if (call.self.Is(Kind::kUndefined)) return call.runtime.Fail(call.self.why_undefined());
  if (call.self.IsInteger()) return Value(call.self.integer());
  if (call.self.Is(Kind::kFloat)) value = Truncate(call.self.number());
  if (call.self.Is(Kind::kString)) {
    call.budget().Spend(call.self.bytes().size());
    value = ParseInteger(call.self.bytes(), static_cast<int>(base));
    const std::optional<double> number = ParseFloat(call.self.bytes());
    if (!value && number) value = Truncate(*number);
  }
  return value ? Value(*value) : fallback;
}

Result<Value> Float(NativeCall& call) {
  if (call.self.Is(Kind::kUndefined)) return call.runtime.Fail(call.self.why_undefined());
  if (call.self.IsNumber()) return Value(call.self.number());
  if (call.self.Is(Kind::kString)) call.budget().Spend(call.self.bytes().size());
  const std::optional<double> value =
      call.self.Is(Kind::kString) ? ParseFloat(call.self.bytes()) : std::nullopt;
  if (value) return Value(*value);
  return call.Has(0) ? call[0] : Value(0.0);
}

Result<Value> Abs(NativeCall& call) {
  if (!call.self.IsNumber()) return NotANumber(call);
  if (call.self.Is(Kind::kFloat)) return Value(std::abs(call.self.number()));
  if (call.self.integer() >= 0) return Value(call.self.integer());
  return Compute(call.runtime, Operator::kSubtract, Value(int64_t{0}), call.self);
}

// Python's round(): to even where it is exactly between, of the decimal that is shown.
double RoundToEven(double value, int64_t precision) {
  if (precision > 15 || !std::isfinite(value)) return value;
  if (precision < -300) return 0.0;
  if (precision <= 0) {
    const double scale = std::pow(10.0, static_cast<double>(-precision));
    return std::nearbyint(value / scale) * scale;
  }
  char text[400];
  const auto result = std::to_chars(text, text + sizeof(text), value, std::chars_format::fixed,
                                    static_cast<int>(precision));
  double rounded = value;
  std::from_chars(text, result.ptr, rounded);
  return rounded;
}

Result<Value> Round(NativeCall& call) {
  if (!call.self.IsNumber()) return NotANumber(call);
  int64_t precision = 0;
  if (call.Has(0)) {
    FORGE_ASSIGN_OR_RETURN(precision, IntegerArgument(call, 0, "precision"));
  }
  const std::string method = call.Has(1) ? ToText(call[1], call.budget()).bytes : "common";
  if (method == "common") {
    if (call.self.IsInteger() && precision >= 0) return Value(call.self.integer());
    const double rounded = RoundToEven(call.self.number(), precision);
    if (call.self.IsInteger()) return Value(static_cast<int64_t>(rounded));
    return Value(rounded);
  }
  if (method != "ceil" && method != "floor")
    return call.runtime.Fail("argument 'method' must be common, ceil or floor");
  const double scale = std::pow(10.0, static_cast<double>(precision));
  const double scaled = call.self.number() * scale;
  return Value((method == "ceil" ? std::ceil(scaled) : std::floor(scaled)) / scale);
}

Status ReadIndent(NativeCall& call, const Value& indent, JsonStyle& style) {
  if (indent.Is(Kind::kNone)) return Status();
  style.is_indented = true;
  style.item_separator = ",";
  if (indent.Is(Kind::kString)) {
    style.indent = indent.bytes();
    return Status();
  }
  if (!indent.IsInteger() || indent.integer() > kMaxIndent)
    return call.runtime.Fail("argument 'indent' must be a string or a small number");
  style.indent = std::string(static_cast<size_t>(std::max<int64_t>(indent.integer(), 0)), ' ');
  return Status();
}

// As the template functions of Hugging Face define it, which escape nothing for HTML.
Result<Value> Tojson(NativeCall& call) {
  JsonStyle style;
  style.ascii = call.Has(0) && call[0].IsTrue();
  if (call.Has(1)) FORGE_TRY(ReadIndent(call, call[1], style));
  if (call.Has(2) && !call[2].Is(Kind::kNone)) {
    FORGE_ASSIGN_OR_RETURN(const std::vector<Value> pair, Iterate(call.runtime, call[2]));
    if (pair.size() != 2 || !pair[0].Is(Kind::kString) || !pair[1].Is(Kind::kString))
      return call.runtime.Fail("argument 'separators' must be two strings");
    style.item_separator = pair[0].bytes();
    style.key_separator = pair[1].bytes();
  }
  style.sort_keys = call.Has(3) && call[3].IsTrue();
  FORGE_ASSIGN_OR_RETURN(Text json, ToJson(call.self, style, call.runtime));
  return Value(std::move(json));
}

Result<Value> Attr(NativeCall& call) {
  FORGE_ASSIGN_OR_RETURN(const Text name, TextArgument(call, 0, "name"));
  if (call.self.Is(Kind::kDict) && FindMethod(call.self, name.bytes) == nullptr)
    return Value::MakeUndefined("'dict object' has no attribute '" + name.bytes.substr(0, 100) +
                                "'");
  return call.runtime.GetAttribute(call.self, name.bytes);
}

constexpr Native kFilters[] = {
    {"default", &Default, {"default_value", "boolean"}},
    {"d", &Default, {"default_value", "boolean"}},
    {"int", &Int, {"default", "base"}},
    {"float", &Float, {"default"}},
    {"abs", &Abs},
    {"round", &Round, {"precision", "method"}},
    {"tojson", &Tojson, {"ensure_ascii", "indent", "separators", "sort_keys"}},
    {"attr", &Attr, {"name"}, 1},
};

}  // namespace

std::span<const Native> ValueFilters() { return kFilters; }

}  // namespace forge::jinja
