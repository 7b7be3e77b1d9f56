#include <algorithm>
#include <cmath>
#include <cstdio>

#include "engine/text/jinja/native.h"
#include "engine/text/utf8.h"

namespace forge::jinja {
namespace {

using Kind = Value::Kind;

class JsonWriter {
 public:
  JsonWriter(const JsonStyle& style, Runtime& runtime)
      : style_(style), runtime_(runtime), budget_(runtime.budget()), out_(budget_) {}

  Result<Text> Run(const Value& value) {
    FORGE_TRY(Write(value));
    return out_.Take();
  }

 private:
  Status Write(const Value& value) {
    if (!budget_.Spend(0)) return runtime_.Fail(budget_.what());
    switch (value.kind()) {
      case Kind::kNone:
        out_.Append("null");
        return Status();
      case Kind::kBool:
        out_.Append(value.boolean() ? "true" : "false");
        return Status();
      case Kind::kInt:
        out_.Append(std::to_string(value.integer()));
        return Status();
      case Kind::kFloat:
        out_.Append(Number(value.number()));
        return Status();
      case Kind::kString:
        WriteString(value.text());
        return Status();
      case Kind::kList:
        if (value.list().flavor == Flavor::kList || value.list().flavor == Flavor::kTuple)
          return WriteList(value.list());
        break;
      case Kind::kDict:
        return WriteDict(value.dict());
      default:
        break;
    }
    return runtime_.Fail("a value of type '" + std::string(value.TypeName()) +
                         "' cannot be written as JSON");
  }

  static std::string Number(double value) {
    if (std::isnan(value)) return "NaN";
    if (std::isinf(value)) return value < 0 ? "-Infinity" : "Infinity";
    return FloatText(value);
  }

  void BreakLine() {
    if (!style_.is_indented) return;
    out_.Append("\n");
    for (uint32_t i = 0; i < level_ && !budget_.exhausted(); ++i) out_.Append(style_.indent);
  }

  Status WriteList(const ListData& list) {
    if (list.items.empty()) {
      out_.Append("[]");
      return Status();
    }
    out_.Append("[");
    ++level_;
    for (size_t i = 0; i < list.items.size(); ++i) {
      if (i > 0) out_.Append(style_.item_separator);
      BreakLine();
      FORGE_TRY(Write(list.items[i]));
    }
    --level_;
    BreakLine();
    out_.Append("]");
    return Status();
  }

  Status WriteDict(const DictData& dict) {
    if (dict.entries.empty()) {
      out_.Append("{}");
      return Status();
    }
    std::vector<const std::pair<Value, Value>*> entries;
    if (!budget_.Allocate(dict.entries.size() * sizeof(void*)))
      return runtime_.Fail(budget_.what());
    for (const auto& entry : dict.entries) entries.push_back(&entry);
    if (style_.sort_keys) FORGE_TRY(Sort(entries));
    out_.Append("{");
    ++level_;
    bool is_first = true;
    for (const auto* entry : entries) {
      if (!std::exchange(is_first, false)) out_.Append(style_.item_separator);
      BreakLine();
      FORGE_TRY(WriteKey(entry->first));
      out_.Append(style_.key_separator);
      FORGE_TRY(Write(entry->second));
    }
    --level_;
    BreakLine();
    out_.Append("}");
    return Status();
  }

  Status Sort(std::vector<const std::pair<Value, Value>*>& entries) {
    const bool all_strings = std::all_of(entries.begin(), entries.end(), [](const auto* entry) {
      return entry->first.Is(Kind::kString);
    });
    if (!all_strings) return runtime_.Fail("only dicts with string keys can be sorted");
    std::stable_sort(entries.begin(), entries.end(), [this](const auto* a, const auto* b) {
      budget_.Spend(std::min(a->first.bytes().size(), b->first.bytes().size()));
      return a->first.bytes() < b->first.bytes();
    });
    return Status();
  }

  Status WriteKey(const Value& key) {
    if (key.Is(Kind::kString)) {
      WriteString(key.text());
      return Status();
    }
    if (!key.IsNumber() && !key.Is(Kind::kNone))
      return runtime_.Fail("a dict's key of type '" + std::string(key.TypeName()) +
                           "' cannot be written as JSON");
    out_.Append("\"");
    FORGE_TRY(Write(key));
    out_.Append("\"");
    return Status();
  }

  void WriteString(const Text& text) {
    out_.Append("\"");
    size_t plain = 0;
    for (size_t i = 0; i < text.bytes.size() && !budget_.exhausted();) {
      const auto byte = static_cast<uint8_t>(text.bytes[i]);
      if (byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\') {
        ++i;
        continue;
      }
      const Utf8Step step = DecodeUtf8(text.bytes, i);
      if (byte < 0x80 || style_.ascii) {
        out_.Append(text, plain, i - plain);
        out_.Append(Escape(step.code_point), text.IsLiteral(i));
        plain = i + step.size;
      }
      i += step.size;
    }
    out_.Append(text, plain, text.bytes.size() - plain);
    out_.Append("\"");
  }

  static std::string Escape(char32_t c) {
    switch (c) {
      case '"':
        return "\\\"";
      case '\\':
        return "\\\\";
      case '\n':
        return "\\n";
      case '\r':
        return "\\r";
      case '\t':
        return "\\t";
      case '\b':
        return "\\b";
      case '\f':
        return "\\f";
      case 0x7f:
        return "\x7f";  // printed as it is
      default:
        break;
    }
    char text[16];
    if (c < 0x10000) {
      std::snprintf(text, sizeof(text), "\\u%04x", static_cast<unsigned>(c));
    } else {
      std::snprintf(text, sizeof(text), "\\u%04x\\u%04x",
                    static_cast<unsigned>(0xd800 + ((c - 0x10000) >> 10)),
                    static_cast<unsigned>(0xdc00 + ((c - 0x10000) & 0x3ff)));
    }
    return text;
  }

  const JsonStyle& style_;
  Runtime& runtime_;
  Budget& budget_;
  TextBuilder out_;
  uint32_t level_ = 0;
};

}  // namespace

Result<Text> ToJson(const Value& value, const JsonStyle& style, Runtime& runtime) {
  return JsonWriter(style, runtime).Run(value);
}

}  // namespace forge::jinja
