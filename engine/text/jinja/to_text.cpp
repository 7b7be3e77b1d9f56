#include <utf8proc.h>

#include <charconv>
#include <cmath>
#include <cstdio>

#include "engine/text/jinja/native.h"
#include "engine/text/utf8.h"

namespace forge::jinja {
namespace {

using Kind = Value::Kind;

// As Python's str.isprintable, of one character.
bool IsPrintable(char32_t c) {
  if (c < 0x80) return c >= ' ' && c < 0x7f;
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(c))) {
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
    case UTF8PROC_CATEGORY_ZS:
      return false;
    default:
      return true;
  }
}

std::string EscapeOf(char32_t c) {
  switch (c) {
    case '\n':
      return "\\n";
    case '\r':
      return "\\r";
    case '\t':
      return "\\t";
    case '\\':
      return "\\\\";
    default:
      break;
  }
  char text[16];
  const char* const format = c < 0x100 ? "\\x%02x" : c < 0x10000 ? "\\u%04x" : "\\U%08x";
  std::snprintf(text, sizeof(text), format, static_cast<unsigned>(c));
  return text;
}

void AppendQuoted(const Text& text, TextBuilder& out) {
  const bool has_single = text.bytes.find('\'') != std::string::npos;
  const bool has_double = text.bytes.find('"') != std::string::npos;
  const char quote = has_single && !has_double ? '"' : '\'';
  out.Append(std::string_view(&quote, 1));
  size_t plain = 0;  // from here on up to i, nothing is escaped
  for (size_t i = 0; i < text.bytes.size();) {
    const Utf8Step step = DecodeUtf8(text.bytes, i);
    const bool is_quote = step.code_point == static_cast<char32_t>(quote);
    if (is_quote || step.code_point == '\\' || !IsPrintable(step.code_point)) {
      out.Append(text, plain, i - plain);
      out.Append(is_quote ? std::string("\\") + quote : EscapeOf(step.code_point),
                 text.IsLiteral(i));
      plain = i + step.size;
    }
    i += step.size;
  }
  out.Append(text, plain, text.bytes.size() - plain);
  out.Append(std::string_view(&quote, 1));
}

void AppendList(const ListData& list, TextBuilder& out, Budget& budget) {
  const bool is_tuple = list.flavor == Flavor::kTuple;
  const std::string_view view = list.flavor == Flavor::kItems    ? "dict_items("
                                : list.flavor == Flavor::kKeys   ? "dict_keys("
                                : list.flavor == Flavor::kValues ? "dict_values("
                                                                 : "";
  out.Append(view);
  out.Append(is_tuple ? "(" : "[");
  for (size_t i = 0; i < list.items.size() && budget.Spend(0); ++i) {
    if (i > 0) out.Append(", ");
    AppendRepr(list.items[i], out, budget);
  }
  if (is_tuple && list.items.size() == 1) out.Append(",");
  out.Append(is_tuple ? ")" : "]");
  if (!view.empty()) out.Append(")");
}

void AppendDict(const DictData& dict, TextBuilder& out, Budget& budget) {
  out.Append("{");
  bool is_first = true;
  for (const auto& [key, value] : dict.entries) {
    if (!budget.Spend(0)) break;
    if (!std::exchange(is_first, false)) out.Append(", ");
    AppendRepr(key, out, budget);
    out.Append(": ");
    AppendRepr(value, out, budget);
  }
  out.Append("}");
}

}  // namespace

std::string FloatText(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  char digits[64];
  const double size = std::abs(value);
  const bool is_scientific = size != 0.0 && (size < 1e-4 || size >= 1e16);
  const auto format = is_scientific ? std::chars_format::scientific : std::chars_format::fixed;
  const auto result = std::to_chars(digits, digits + sizeof(digits), value, format);
  std::string text(digits, result.ptr);
  if (!is_scientific && text.find('.') == std::string::npos) text += ".0";
  return text;
}

void AppendRepr(const Value& value, TextBuilder& out, Budget& budget) {
  switch (value.kind()) {
    case Kind::kString:
      budget.Spend(value.bytes().size());
      return AppendQuoted(value.text(), out);
    case Kind::kList:
      return AppendList(value.list(), out, budget);
    case Kind::kDict:
      return AppendDict(value.dict(), out, budget);
    case Kind::kUndefined:
      return out.Append("Undefined");
    default:
      return out.Append(ToText(value, budget));
  }
}

Text ToText(const Value& value, Budget& budget) {
  if (value.Is(Kind::kString)) {
    budget.Spend(value.bytes().size());  // the copy, and what the caller reads of it
    return value.text();
  }
  TextBuilder out(budget);
  switch (value.kind()) {
    case Kind::kUndefined:
      break;
    case Kind::kNone:
      out.Append("None");
      break;
    case Kind::kBool:
      out.Append(value.boolean() ? "True" : "False");
      break;
    case Kind::kInt:
      out.Append(std::to_string(value.integer()));
      break;
    case Kind::kFloat:
      out.Append(FloatText(value.number()));
      break;
    case Kind::kList:
    case Kind::kDict:
      AppendRepr(value, out, budget);
      break;
    default:
      out.Append("<" + std::string(value.TypeName()) + ">");
      break;
  }
  return out.Take();
}

}  // namespace forge::jinja
