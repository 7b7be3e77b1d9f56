#include "engine/text/jinja/native.h"
#include "engine/text/jinja/string_functions.h"

namespace forge::jinja {
namespace {

using Kind = Value::Kind;

constexpr int64_t kMaxWidth = 100'000;  // of padding and indentation

Text SelfText(NativeCall& call) { return ToText(call.self, call.budget()); }

template <Case to>
Result<Value> CaseFilter(NativeCall& call) {
  return Value(ChangeCase(SelfText(call), to, call.budget()));
}

Result<Value> Trim(NativeCall& call) {
  if (!call.Has(0) || call[0].Is(Kind::kNone))
    return Value(Strip(SelfText(call), nullptr, true, true, call.budget()));
  FORGE_ASSIGN_OR_RETURN(const Text chars, TextArgument(call, 0, "chars"));
  return Value(Strip(SelfText(call), &chars.bytes, true, true, call.budget()));
}

Result<Value> ReplaceFilter(NativeCall& call) {
  int64_t count = -1;
  if (call.Has(2) && !call[2].Is(Kind::kNone)) {
    FORGE_ASSIGN_OR_RETURN(count, IntegerArgument(call, 2, "count"));
  }
  const Text from = ToText(call[0], call.budget());
  return Value(
      Replace(SelfText(call), from.bytes, ToText(call[1], call.budget()), count, call.budget()));
}

Result<Text> Indentation(NativeCall& call) {
  if (!call.Has(0)) return Text{"    ", {}};
  if (call[0].Is(Kind::kString)) return call[0].text();
  FORGE_ASSIGN_OR_RETURN(const int64_t width, IntegerArgument(call, 0, "width"));
  if (width > kMaxWidth) return call.runtime.Fail("argument 'width' is too large");
  return Text{std::string(static_cast<size_t>(std::max<int64_t>(width, 0)), ' '), {}};
}

Result<Value> Indent(NativeCall& call) {
  FORGE_ASSIGN_OR_RETURN(const Text indent, Indentation(call));
  const bool first = call[1].IsTrue();
  const bool blank = call[2].IsTrue();
  Budget& budget = call.budget();
  TextBuilder with_end(budget);
  with_end.Append(SelfText(call));
  with_end.Append("\n");
  const std::vector<Text> lines = SplitLines(with_end.Take(), false, budget);
  TextBuilder out(budget);
  for (size_t i = 0; i < lines.size(); ++i) {
    if (i > 0) out.Append("\n");
    const bool is_indented = i == 0 ? first : blank || !lines[i].bytes.empty();
    if (is_indented) out.Append(indent);
    out.Append(lines[i]);
  }
  return Value(out.Take());
}

Result<Value> Center(NativeCall& call) {
  int64_t width = 80;
  if (call.Has(0)) {
    FORGE_ASSIGN_OR_RETURN(width, IntegerArgument(call, 0, "width"));
  }
  if (width > kMaxWidth) return call.runtime.Fail("argument 'width' is too large");
  const Text text = SelfText(call);
  const auto size = static_cast<int64_t>(CountChars(text.bytes));
  TextBuilder out(call.budget());
  const int64_t room = std::max<int64_t>(width - size, 0);
  const int64_t left = room / 2 + (room & width & 1);
  out.Append(std::string(static_cast<size_t>(left), ' '));
  out.Append(text);
  out.Append(std::string(static_cast<size_t>(room - left), ' '));
  return Value(out.Take());
}

Result<Value> WordCount(NativeCall& call) {
  const Text text = SelfText(call);
  int64_t n = 0;
  bool in_word = false;
  for (size_t i = 0; i < text.bytes.size();) {
    const size_t size = CharSize(text.bytes, i);
    const std::string_view c = std::string_view(text.bytes).substr(i, size);
    const bool is_word = AllAre(c, CharTest::kAlnum) || c == "_";
    if (is_word && !in_word) ++n;
    in_word = is_word;
    i += size;
  }
  return Value(n);
}

Result<Value> Escape(NativeCall& call) {
  Budget& budget = call.budget();
  const Text text = SelfText(call);
  TextBuilder out(budget);
  size_t plain = 0;
  for (size_t i = 0; i < text.bytes.size() && !budget.exhausted(); ++i) {
    const char c = text.bytes[i];
    const std::string_view escaped = c == '&'    ? "&amp;"
                                     : c == '<'  ? "&lt;"
                                     : c == '>'  ? "&gt;"
                                     : c == '\'' ? "&#39;"
                                     : c == '"'  ? "&#34;"
                                                 : "";
    if (escaped.empty()) continue;
    out.Append(text, plain, i - plain);
    out.Append(escaped, text.IsLiteral(i));
    plain = i + 1;
  }
  out.Append(text, plain, text.bytes.size() - plain);
  return Value(out.Take());
}

Result<Value> String(NativeCall& call) { return Value(SelfText(call)); }

Result<Value> Format(NativeCall& call) {
  if (!call.rest.named.empty()) {
    std::vector<std::pair<Value, Value>> entries;
    if (!call.rest.positional.empty())
      return call.runtime.Fail("'format' takes arguments with or without names, not both");
    for (const auto& [name, value] : call.rest.named)
      entries.emplace_back(MakeString(name, call.budget()), value);
    return FormatPercent(call.runtime, SelfText(call), MakeDict(std::move(entries), call.budget()));
  }
  return FormatPercent(call.runtime, SelfText(call),
                       MakeList(call.rest.positional, call.budget(), Flavor::kTuple));
}

Result<Value> Join(NativeCall& call) {
  Budget& budget = call.budget();
  const Text separator = call.Has(0) ? ToText(call[0], budget) : Text();
  FORGE_ASSIGN_OR_RETURN(const std::vector<Value> items, Iterate(call.runtime, call.self));
  TextBuilder out(budget);
  bool is_first = true;
  for (const Value& item : items) {
    if (budget.exhausted()) break;
    if (!is_first) out.Append(separator);
    is_first = false;
    Value value = item;
    if (call.Has(1) && !call[1].Is(Kind::kNone)) {
      FORGE_ASSIGN_OR_RETURN(value, GetPath(call.runtime, item, call[1]));
    }
    out.Append(ToText(value, budget));
  }
  return Value(out.Take());
}

constexpr Native kFilters[] = {
    {"upper", &CaseFilter<Case::kUpper>},
    {"lower", &CaseFilter<Case::kLower>},
    {"capitalize", &CaseFilter<Case::kCapitalized>},
    {"title", &CaseFilter<Case::kTitleFilter>},
    {"trim", &Trim, {"chars"}},
    {"replace", &ReplaceFilter, {"old", "new", "count"}, 2},
    {"indent", &Indent, {"width", "first", "blank"}},
    {"center", &Center, {"width"}},
    {"wordcount", &WordCount},
    {"escape", &Escape},
    {"e", &Escape},
    {"forceescape", &Escape},
    {"safe", &String},
    {"string", &String},
    {"format", &Format, {}, 0, true},
    {"join", &Join, {"d", "attribute"}},
};

}  // namespace

std::span<const Native> StringFilters() { return kFilters; }

}  // namespace forge::jinja
