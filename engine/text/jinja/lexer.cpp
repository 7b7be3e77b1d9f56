#include "engine/text/jinja/lexer.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "engine/text/characters.h"
#include "engine/text/jinja/string_literal.h"
#include "engine/text/jinja/text.h"
#include "engine/text/utf8.h"

namespace forge::jinja {
namespace {

using Kind = Token::Kind;

// Longer operators first.
constexpr std::string_view kOperators[] = {"**", "//", "==", "!=", "<=", ">=", "+", "-", "*",
                                           "/",  "%",  "~",  "<",  ">",  "=",  "|", ".", ",",
                                           ":",  ";",  "(",  ")",  "[",  "]",  "{", "}"};

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

bool IsNameChar(const Char& c) {
  return c.code_point == '_' || c.Is(kLetter | kNumber) || (c.code_point >= 0x80 && c.Is(kMark));
}

// "\r\n" and "\r" become "\n", and one line break at the end goes, as Jinja2 reads its sources.
std::string NormalizeNewlines(std::string_view source) {
  std::string text;
  text.reserve(source.size());
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] != '\r') {
      text.push_back(source[i]);
      continue;
    }
    text.push_back('\n');
    if (source.substr(i + 1, 1) == "\n") ++i;
  }
  if (text.ends_with('\n')) text.pop_back();
  return text;
}

class Lexer {
 public:
  explicit Lexer(std::string source) : source_(std::move(source)) {}

  Result<std::vector<Token>> Run() {
    while (position_ < source_.size()) {
      FORGE_TRY(ReadData());
      if (tag_.empty()) break;
      FORGE_TRY(ReadTag());
    }
    Add(Kind::kEnd, {});
    return std::move(tokens_);
  }

 private:
  std::string_view Rest() const { return std::string_view(source_).substr(position_); }
  bool StartsWith(std::string_view text) const { return Rest().starts_with(text); }
  char SignAt(size_t i) const {
    const char c = i < source_.size() ? source_[i] : '\0';
    return c == '-' || c == '+' ? c : '\0';
  }

  void Advance(size_t n_bytes) {
    const std::string_view passed = Rest().substr(0, n_bytes);
    line_ += static_cast<uint32_t>(std::count(passed.begin(), passed.end(), '\n'));
    position_ += n_bytes;
    if (!passed.empty()) at_line_start_ = passed.back() == '\n';
  }

  void Add(Kind kind, std::string_view text) {
    tokens_.push_back({kind, line_, std::string(text)});
  }

  void SkipSpace() {
    size_t n = 0;
    const std::string_view rest = Rest();
    while (n < rest.size()) {
      const Char c = CharAt(rest, n);
      if (!c.Is(kSpace) && !(c.code_point >= 0x1c && c.code_point <= 0x1f)) break;
      n += c.size;
    }
    Advance(n);
  }

  // What follows a tag's end is one match with it in Jinja2, so it decides about the line start.
  void FinishTag(size_t n_bytes, char sign, bool trims_newline) {
    Advance(n_bytes);
    if (sign == '-') {
      SkipSpace();
    } else if (sign == '\0' && trims_newline && StartsWith("\n")) {
      Advance(1);
    }
  }

  // Emits `text`, which ends before a tag with this sign.
  void AddData(std::string_view text, char sign, bool is_variable) {
    if (sign == '-') {
      text = StripSpace(text, /*left=*/false, /*right=*/true);
    } else if (sign != '+' && !is_variable) {
      const size_t last_line = text.rfind('\n') + 1;  // 0 if there is no line break
      const bool is_whole_line = last_line > 0 || at_line_start_;
      if (is_whole_line && StripSpace(text.substr(last_line), true, true).empty())
        text = text.substr(0, last_line);
    }
    if (!text.empty()) Add(Kind::kData, text);
  }

  // Reads up to the next tag, whose opening brackets become tag_; none at the end.
  Status ReadData() {
    tag_.clear();
    const std::string_view rest = Rest();
    size_t begin = 0;
    for (;; ++begin) {
      begin = rest.find('{', begin);
      if (begin == std::string_view::npos || begin + 1 >= rest.size()) break;
      if (std::string_view("{%#").find(rest[begin + 1]) != std::string_view::npos) break;
    }
    if (begin == std::string_view::npos || begin + 1 >= rest.size()) {
      if (!rest.empty()) Add(Kind::kData, rest);
      Advance(rest.size());
      return Status();
    }
    tag_ = rest.substr(begin, 2);
    const char sign = SignAt(position_ + begin + 2);
    AddData(rest.substr(0, begin), sign, tag_ == "{{");
    Advance(begin);
    return Status();
  }

  Status ReadTag() {
    const uint32_t begin_line = line_;
    if (tag_ == "{%" && IsRawTag()) return ReadRaw(begin_line);
    const size_t n_sign = SignAt(position_ + 2) != '\0' ? 1 : 0;
    if (tag_ == "{#") return ReadComment(begin_line, 2 + n_sign);
    const bool is_block = tag_ == "{%";
    Add(is_block ? Kind::kBlockBegin : Kind::kVariableBegin, tag_);
    Advance(2 + n_sign);
    while (!ReadTagEnd(is_block)) {
      if (position_ >= source_.size())
        return TemplateError(begin_line, "a tag has no end: '" + tag_ + "'");
      FORGE_TRY(ReadToken());
    }
    return Status();
  }

  // True at the tag's end, which is passed then. Within brackets there is none.
  bool ReadTagEnd(bool is_block) {
    SkipSpace();
    if (!brackets_.empty()) return false;
    const std::string_view close = is_block ? "%}" : "}}";
    char sign = SignAt(position_);
    if (sign == '+' && !is_block) sign = '\0';  // a plus, where a value ends
    if (Rest().substr(sign != '\0' ? 1 : 0).substr(0, 2) != close) return false;
    Add(is_block ? Kind::kBlockEnd : Kind::kVariableEnd, close);
    FinishTag(close.size() + (sign != '\0' ? 1 : 0), sign, is_block);
    return true;
  }

  Status ReadComment(uint32_t begin_line, size_t n_open) {
    const size_t end = source_.find("#}", position_ + n_open);
    if (end == std::string::npos) return TemplateError(begin_line, "a comment has no end: '{#'");
    const bool has_sign = end > position_ + n_open && SignAt(end - 1) != '\0';
    const char sign = has_sign ? source_[end - 1] : '\0';
    FinishTag(end + 2 - position_, sign, true);
    return Status();
  }

  // The length of "{%- NAME -%}" at `begin`, with its closing sign; 0 if it is not there.
  std::pair<size_t, char> NamedTag(size_t begin, std::string_view name) const {
    const auto skip_space = [&](size_t i) {
      while (i < source_.size() && CharAt(source_, i).Is(kSpace)) i += CharAt(source_, i).size;
      return i;
    };
    if (source_.compare(begin, 2, "{%") != 0) return {0, '\0'};
    size_t i = begin + 2;
    if (SignAt(i) != '\0') ++i;
    i = skip_space(i);
    if (source_.compare(i, name.size(), name) != 0) return {0, '\0'};
    i = skip_space(i + name.size());
    const char sign = SignAt(i);
    if (sign != '\0') ++i;
    if (source_.compare(i, 2, "%}") != 0) return {0, '\0'};
    return {i + 2 - begin, sign};
  }

  bool IsRawTag() const {
    const auto [size, sign] = NamedTag(position_, "raw");
    return size > 0 && sign != '+';
  }

  Status ReadRaw(uint32_t begin_line) {
    const auto [open_size, open_sign] = NamedTag(position_, "raw");
    FinishTag(open_size, open_sign, /*trims_newline=*/false);
    for (size_t end = source_.find("{%", position_); end != std::string::npos;
         end = source_.find("{%", end + 1)) {
      const auto [size, sign] = NamedTag(end, "endraw");
      if (size == 0) continue;
      AddData(std::string_view(source_).substr(position_, end - position_), SignAt(end + 2), false);
      Advance(end - position_);
      FinishTag(size, sign, /*trims_newline=*/true);
      return Status();
    }
    return TemplateError(begin_line, "a raw block has no end: no {% endraw %} follows");
  }

  // --- Within tags

  Status ReadToken() {
    const char c = source_[position_];
    if (IsDigit(c)) return ReadNumber();
    if (c == '\'' || c == '"') return ReadString(c);
    const std::string_view rest = Rest();
    size_t n_name = 0;
    while (n_name < rest.size() && IsNameChar(CharAt(rest, n_name)))
      n_name += CharAt(rest, n_name).size;
    if (n_name > 0) {
      Add(Kind::kName, rest.substr(0, n_name));
      Advance(n_name);
      return Status();
    }
    for (const std::string_view op : kOperators) {
      if (!StartsWith(op)) continue;
      FORGE_TRY(Balance(op));
      Add(Kind::kOperator, op);
      Advance(op.size());
      return Status();
    }
    return TemplateError(line_, "unexpected character " + Quote(rest.substr(0, CharSize(rest, 0))));
  }

  static std::string Quote(std::string_view text) { return "'" + std::string(text) + "'"; }

  Status Balance(std::string_view op) {
    if (op == "(") brackets_.push_back(')');
    if (op == "[") brackets_.push_back(']');
    if (op == "{") brackets_.push_back('}');
    if (op != ")" && op != "]" && op != "}") return Status();
    if (brackets_.empty()) return TemplateError(line_, "unexpected " + Quote(op));
    if (brackets_.back() != op[0])
      return TemplateError(line_, "unexpected " + Quote(op) + ", expected " +
                                      Quote(std::string_view(&brackets_.back(), 1)));
    brackets_.pop_back();
    return Status();
  }

  // Digits with single underscores between them.
  size_t DigitsEnd(size_t i) const {
    while (i < source_.size() &&
           (IsDigit(source_[i]) ||
            (source_[i] == '_' && i + 1 < source_.size() && IsDigit(source_[i + 1]))))
      ++i;
    return i;
  }

  Status ReadNumber() {
    const bool follows_dot = position_ > 0 && source_[position_ - 1] == '.';
    size_t end = DigitsEnd(position_);
    bool is_float = false;
    if (!follows_dot) {
      if (end + 1 < source_.size() && source_[end] == '.' && IsDigit(source_[end + 1])) {
        is_float = true;
        end = DigitsEnd(end + 1);
      }
      if (end < source_.size() && (source_[end] | 0x20) == 'e') {
        size_t exponent = end + 1;
        if (SignAt(exponent) != '\0') ++exponent;
        if (exponent < source_.size() && IsDigit(source_[exponent])) {
          is_float = true;
          end = DigitsEnd(exponent);
        }
      }
    }
    std::string digits = source_.substr(position_, end - position_);
    std::erase(digits, '_');
    Add(is_float ? Kind::kFloat : Kind::kInteger, digits);
    Advance(end - position_);
    return Status();
  }

  Status ReadString(char quote) {
    size_t end = position_ + 1;
    while (end < source_.size() && source_[end] != quote) end += source_[end] == '\\' ? 2 : 1;
    if (end >= source_.size()) return TemplateError(line_, "a string has no end");
    const std::string_view inner =
        std::string_view(source_).substr(position_ + 1, end - position_ - 1);
    std::optional<std::string> value = UnescapeString(inner);
    if (!value) return TemplateError(line_, "a string has an escape that means nothing");
    Add(Kind::kString, *value);
    Advance(end + 1 - position_);
    return Status();
  }

  const std::string source_;
  size_t position_ = 0;
  uint32_t line_ = 1;
  bool at_line_start_ = true;  // the last match ended a line
  std::string tag_;
  std::vector<char> brackets_;  // closing ones, of those open in this tag
  std::vector<Token> tokens_;
};

}  // namespace

std::string Describe(const Token& token) {
  switch (token.kind) {
    case Kind::kEnd:
      return "the end of the template";
    case Kind::kBlockEnd:
    case Kind::kVariableEnd:
      return "the end of the tag";
    case Kind::kString:
      return "a string";
    default:
      break;
  }
  constexpr size_t kMaxShown = 40;  // bytes
  const bool is_long = token.text.size() > kMaxShown;
  return "'" + (is_long ? token.text.substr(0, kMaxShown) + "..." : token.text) + "'";
}

Status TemplateError(uint32_t line, std::string_view problem) {
  return FailedPrecondition("line " + std::to_string(line) + ": " + std::string(problem))
      .WithDetail("templateLine", line);
}

Result<std::vector<Token>> Tokenize(std::string_view source, const Limits& limits) {
  if (source.size() > limits.max_template_bytes)
    return FailedPrecondition("it has " + std::to_string(source.size()) + " bytes, more than the " +
                              std::to_string(limits.max_template_bytes) + " that are read");
  uint32_t line = 1;
  for (size_t i = 0; i < source.size();) {
    if (source[i] == '\n') ++line;
    const Utf8Step step = DecodeUtf8(source, i);
    if (step.kind != Utf8Step::Kind::kCharacter) return TemplateError(line, "it is not UTF-8");
    i += step.size;
  }
  return Lexer(NormalizeNewlines(source)).Run();
}

}  // namespace forge::jinja
