#include "engine/text/jinja/native.h"
#include "engine/text/jinja/string_functions.h"

// Methods of str that change case, pad, test and format.

namespace forge::jinja {
namespace {

using Kind = Value::Kind;

constexpr int64_t kMaxWidth = 100'000;

template <Case to>
Result<Value> CaseMethod(NativeCall& call) {
  return Value(ChangeCase(call.self.text(), to, call.budget()));
}

template <CharTest test>
Result<Value> TestMethod(NativeCall& call) {
  call.budget().Spend(call.self.bytes().size());
  return Value(AllAre(call.self.bytes(), test));
}

template <bool upper>
Result<Value> CasedMethod(NativeCall& call) {
  call.budget().Spend(call.self.bytes().size());
  return Value(IsCased(call.self.bytes(), upper));
}

enum class Side : uint8_t { kLeft, kRight, kCenter };

template <Side side>
Result<Value> Justify(NativeCall& call) {
  FORGE_ASSIGN_OR_RETURN(const int64_t width, IntegerArgument(call, 0, "width"));
  if (width > kMaxWidth) return call.runtime.Fail("argument 'width' is too large");
  Text fill{" ", {}};
  if (call.Has(1)) {
    FORGE_ASSIGN_OR_RETURN(fill, TextArgument(call, 1, "fillchar"));
    if (CountChars(fill.bytes) != 1)
      return call.runtime.Fail("argument 'fillchar' must be one character");
  }
  const int64_t room =
      std::max<int64_t>(width - static_cast<int64_t>(CountChars(call.self.bytes())), 0);
  const int64_t left = side == Side::kLeft    ? 0
                       : side == Side::kRight ? room
                                              : room / 2 + (room & width & 1);
  TextBuilder out(call.budget());
  for (int64_t i = 0; i < left; ++i) out.Append(fill);
  out.Append(call.self.text());
  for (int64_t i = left; i < room; ++i) out.Append(fill);
  return Value(out.Take());
}

Result<Value> Zfill(NativeCall& call) {
  FORGE_ASSIGN_OR_RETURN(const int64_t width, IntegerArgument(call, 0, "width"));
  if (width > kMaxWidth) return call.runtime.Fail("argument 'width' is too large");
  const std::string& bytes = call.self.bytes();
  const auto size = static_cast<int64_t>(CountChars(bytes));
  const size_t n_sign = !bytes.empty() && (bytes[0] == '-' || bytes[0] == '+') ? 1 : 0;
  TextBuilder out(call.budget());
  out.Append(call.self.text(), 0, n_sign);
  if (width > size) out.Append(std::string(static_cast<size_t>(width - size), '0'));
  out.Append(call.self.text(), n_sign, bytes.size() - n_sign);
  return Value(out.Take());
}

template <bool is_suffix>
Result<Value> RemoveAffix(NativeCall& call) {
  FORGE_ASSIGN_OR_RETURN(const Text affix, TextArgument(call, 0, "affix"));
  const Text& text = call.self.text();
  const bool has_it =
      is_suffix ? text.bytes.ends_with(affix.bytes) : text.bytes.starts_with(affix.bytes);
  if (!has_it) return call.self;
  return Value(Part(text, is_suffix ? 0 : affix.bytes.size(),
                    text.bytes.size() - affix.bytes.size(), call.budget()));
}

Result<Value> JoinMethod(NativeCall& call) {
  FORGE_ASSIGN_OR_RETURN(const std::vector<Value> items, Iterate(call.runtime, call[0]));
  TextBuilder out(call.budget());
  for (size_t i = 0; i < items.size(); ++i) {
    if (!items[i].Is(Kind::kString))
      return call.runtime.Fail("join() needs strings, item " + std::to_string(i) + " is '" +
                               std::string(items[i].TypeName()) + "'");
    if (i > 0) out.Append(call.self.text());
    out.Append(items[i].text());
  }
  return Value(out.Take());
}

// The value that a field "{0}", "{name}" or "{}" of str.format stands for.
Result<Value> FieldValue(NativeCall& call, std::string_view field, size_t& next) {
  const bool is_number = !field.empty() && field.size() < 6 &&
                         field.find_first_not_of("0123456789") == std::string_view::npos;
  if (field.empty() || is_number) {
    const size_t i = is_number ? std::stoul(std::string(field)) : next++;
    if (i < call.rest.positional.size()) return call.rest.positional[i];
    return call.runtime.Fail("format() has no argument " + std::to_string(i));
  }
  call.budget().Spend(call.rest.named.size() * sizeof(Value));
  for (const auto& [name, value] : call.rest.named)
    if (name == field) return value;
  return call.runtime.Fail("format() has no argument '" + std::string(field.substr(0, 100)) +
                           "' (fields are numbers and names only)");
}

Result<Value> FormatMethod(NativeCall& call) {
  const Text& text = call.self.text();
  const std::string& bytes = text.bytes;
  TextBuilder out(call.budget());
  size_t next = 0;
  for (size_t i = 0; i < bytes.size() && !call.budget().exhausted(); ++i) {
    const bool is_brace = bytes[i] == '{' || bytes[i] == '}';
    const bool is_doubled = is_brace && i + 1 < bytes.size() && bytes[i + 1] == bytes[i];
    if (!is_brace || is_doubled) {
      out.Append(text, i, 1);
      i += is_doubled ? 1 : 0;
      continue;
    }
    const size_t end = bytes.find('}', i);
    if (bytes[i] == '}' || end == std::string::npos)
      return call.runtime.Fail("format() has a brace without its pair");
    FORGE_ASSIGN_OR_RETURN(
        const Value value,
        FieldValue(call, std::string_view(bytes).substr(i + 1, end - i - 1), next));
    out.Append(ToText(value, call.budget()));
    i = end;
  }
  return Value(out.Take());
}

constexpr Native kMethods[] = {
    {"upper", &CaseMethod<Case::kUpper>},
    {"lower", &CaseMethod<Case::kLower>},
    {"casefold", &CaseMethod<Case::kLower>},
    {"title", &CaseMethod<Case::kTitle>},
    {"capitalize", &CaseMethod<Case::kCapitalized>},
    {"swapcase", &CaseMethod<Case::kSwapped>},
    {"isdigit", &TestMethod<CharTest::kDigit>},
    {"isdecimal", &TestMethod<CharTest::kDecimal>},
    {"isnumeric", &TestMethod<CharTest::kNumeric>},
    {"isalpha", &TestMethod<CharTest::kAlpha>},
    {"isalnum", &TestMethod<CharTest::kAlnum>},
    {"isspace", &TestMethod<CharTest::kSpace>},
    {"isupper", &CasedMethod<true>},
    {"islower", &CasedMethod<false>},
    {"ljust", &Justify<Side::kLeft>, {"width", "fillchar"}, 1},
    {"rjust", &Justify<Side::kRight>, {"width", "fillchar"}, 1},
    {"center", &Justify<Side::kCenter>, {"width", "fillchar"}, 1},
    {"zfill", &Zfill, {"width"}, 1},
    {"removeprefix", &RemoveAffix<false>, {"prefix"}, 1},
    {"removesuffix", &RemoveAffix<true>, {"suffix"}, 1},
    {"join", &JoinMethod, {"iterable"}, 1},
    {"format", &FormatMethod, {}, 0, true},
};

}  // namespace

std::span<const Native> MoreStringMethods() { return kMethods; }

}  // namespace forge::jinja
