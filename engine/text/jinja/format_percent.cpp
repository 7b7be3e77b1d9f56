#include <charconv>
#include <cmath>
#include <cstdio>
#include <optional>

#include "engine/text/jinja/native.h"

// Python's `format % arguments`.

namespace forge::jinja {
namespace {

using Kind = Value::Kind;

constexpr int64_t kMaxWidth = 10'000;
constexpr int64_t kMaxPrecision = 100;

struct Directive {
  bool left = false, zeros = false, plus = false, space = false, alternate = false;
  int64_t width = 0;
  int64_t precision = -1;
  std::string key;  // of "%(key)s"
  bool has_key = false;
  char conversion = '\0';
};

class Formatter {
 public:
  Formatter(Runtime& runtime, const Text& format, const Value& arguments)
      : runtime_(runtime), format_(format), arguments_(arguments), out_(runtime.budget()) {}

  Result<Value> Run() {
    const std::string& text = format_.bytes;
    while (i_ < text.size() && !runtime_.budget().exhausted()) {
      const size_t percent = std::min(text.find('%', i_), text.size());
      out_.Append(format_, i_, percent - i_);
      i_ = percent;
      if (i_ == text.size()) break;
      ++i_;
      FORGE_ASSIGN_OR_RETURN(const Directive directive, Read());
      FORGE_TRY(Write(directive));
    }
    const bool takes_all = !arguments_.Is(Kind::kDict) && next_ < Count();
    if (takes_all) return runtime_.Fail("not all arguments of '%' are used by its format");
    return Value(out_.Take());
  }

 private:
  bool IsTuple() const {
    return arguments_.Is(Kind::kList) && arguments_.list().flavor == Flavor::kTuple;
  }
  size_t Count() const { return IsTuple() ? arguments_.list().items.size() : 1; }

  Result<Directive> Read() {
    const std::string& text = format_.bytes;
    Directive directive;
    if (i_ < text.size() && text[i_] == '(') {
      const size_t end = text.find(')', i_);
      if (end == std::string::npos) return runtime_.Fail("a format has no ')'");
      directive.key = text.substr(i_ + 1, end - i_ - 1);
      directive.has_key = true;
      i_ = end + 1;
    }
    for (; i_ < text.size(); ++i_) {
      if (text[i_] == '-') {
        directive.left = true;
      } else if (text[i_] == '0') {
        directive.zeros = true;
      } else if (text[i_] == '+') {
        directive.plus = true;
      } else if (text[i_] == ' ') {
        directive.space = true;
      } else if (text[i_] == '#') {
        directive.alternate = true;
      } else {
        break;
      }
    }
    directive.width = ReadNumber(kMaxWidth).value_or(0);
    if (i_ < text.size() && text[i_] == '.') {
      ++i_;
      directive.precision = ReadNumber(kMaxPrecision).value_or(0);
    }
    if (i_ == text.size()) return runtime_.Fail("a format ends after '%'");
    directive.conversion = text[i_++];
    return directive;
  }

  std::optional<int64_t> ReadNumber(int64_t max) {
    const std::string& text = format_.bytes;
    int64_t value = 0;
    const auto result = std::from_chars(text.data() + i_, text.data() + text.size(), value);
    if (result.ptr == text.data() + i_ || value < 0) return std::nullopt;
    i_ = static_cast<size_t>(result.ptr - text.data());
    return result.ec == std::errc() ? std::min(value, max) : max;
  }

  Result<Value> Next(const Directive& directive) {
    if (directive.has_key) {
      if (!arguments_.Is(Kind::kDict)) return runtime_.Fail("a format with names needs a dict");
      const Value* const entry = arguments_.dict().Find(directive.key, runtime_.budget());
      if (entry != nullptr) return *entry;
      return runtime_.Fail("a format names '" + directive.key.substr(0, 100) +
                           "', which is not there");
    }
    if (next_ >= Count()) return runtime_.Fail("a format has too few arguments");
    const size_t i = next_++;
    return IsTuple() ? arguments_.list().items[i] : arguments_;
  }

  Status Write(const Directive& directive) {
    if (directive.conversion == '%') {
      out_.Append("%");
      return Status();
    }
    FORGE_ASSIGN_OR_RETURN(const Value value, Next(directive));
    switch (directive.conversion) {
      case 's':
        return WriteText(directive, ToText(value, runtime_.budget()));
      case 'r': {
        TextBuilder shown(runtime_.budget());
        AppendRepr(value, shown, runtime_.budget());
        return WriteText(directive, shown.Take());
      }
      case 'd':
      case 'i':
      case 'u':
      case 'x':
      case 'X':
      case 'o':
        return WriteInteger(directive, value);
      case 'e':
      case 'E':
      case 'f':
      case 'F':
      case 'g':
      case 'G':
        return WriteFloat(directive, value);
      default:
        return runtime_.Fail("a format has an unknown conversion '%" +
                             std::string(1, directive.conversion) + "'");
    }
  }

  Status WriteText(const Directive& directive, const Text& text) {
    const size_t size = directive.precision < 0
                            ? text.bytes.size()
                            : CharOffset(text.bytes, static_cast<size_t>(directive.precision));
    const int64_t n_chars =
        static_cast<int64_t>(CountChars(std::string_view(text.bytes).substr(0, size)));
    const std::string padding(static_cast<size_t>(std::max<int64_t>(directive.width - n_chars, 0)),
                              ' ');
    if (!directive.left) out_.Append(padding);
    out_.Append(text, 0, size);
    if (directive.left) out_.Append(padding);
    return Status();
  }

  Status WriteInteger(const Directive& directive, const Value& value) {
    if (!value.IsNumber()) return NeedsNumber(value);
    const double number = value.number();
    if (value.Is(Kind::kFloat) && !(std::abs(number) < 9.2e18))
      return runtime_.Fail("a number passes 64 bits");
    const int64_t integer = value.Is(Kind::kFloat) ? static_cast<int64_t>(number) : value.integer();
    const int base = directive.conversion == 'o'                                  ? 8
                     : directive.conversion == 'x' || directive.conversion == 'X' ? 16
                                                                                  : 10;
    char digits[72];
    const auto result = std::to_chars(digits, digits + sizeof(digits), integer, base);
    std::string text(digits, result.ptr);
    if (directive.conversion == 'X')
      for (char& c : text) c = static_cast<char>(c >= 'a' && c <= 'f' ? c - 'a' + 'A' : c);
    WriteNumber(directive, text);
    return Status();
  }

  Status WriteFloat(const Directive& directive, const Value& value) {
    if (!value.IsNumber()) return NeedsNumber(value);
    const std::string format = std::string("%.*") + directive.conversion;
    char text[512];
    const int precision = directive.precision < 0 ? 6 : static_cast<int>(directive.precision);
    std::snprintf(text, sizeof(text), format.c_str(), precision, value.number());
    WriteNumber(directive, text);
    return Status();
  }

  // `text`: digits with a minus where there is one.
  void WriteNumber(const Directive& directive, std::string text) {
    std::string sign;
    if (text.starts_with('-')) {
      sign = "-";
      text.erase(0, 1);
    } else if (directive.plus || directive.space) {
      sign = directive.plus ? "+" : " ";
    }
    const auto size = static_cast<int64_t>(sign.size() + text.size());
    const auto n_padding = static_cast<size_t>(std::max<int64_t>(directive.width - size, 0));
    if (directive.left) {
      out_.Append(sign + text + std::string(n_padding, ' '));
    } else if (directive.zeros) {
      out_.Append(sign + std::string(n_padding, '0') + text);
    } else {
      out_.Append(std::string(n_padding, ' ') + sign + text);
    }
  }

  Status NeedsNumber(const Value& value) {
    if (value.Is(Kind::kUndefined)) return runtime_.Fail(value.why_undefined());
    return runtime_.Fail("a format needs a number, not '" + std::string(value.TypeName()) + "'");
  }

  Runtime& runtime_;
  const Text& format_;
  const Value& arguments_;
  TextBuilder out_;
  size_t i_ = 0;
  size_t next_ = 0;
};

}  // namespace

Result<Value> FormatPercent(Runtime& runtime, const Text& format, const Value& arguments) {
  return Formatter(runtime, format, arguments).Run();
}

}  // namespace forge::jinja
