#include "engine/grammar/gbnf_parser.h"

#include <map>
#include <optional>
#include <string>
#include <utility>

#include "engine/grammar/grammar_limits.h"
#include "engine/text/utf8.h"

namespace forge {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsNameCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || IsDigit(c) || c == '-' || c == '_';
}

int HexValue(char c) {
  if (IsDigit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Recursive descent over the text; recursion is as deep as groups are nested.
class GbnfParser {
 public:
  explicit GbnfParser(std::string_view text) : text_(text) {}

  Result<Grammar> Parse() {
    SkipSpace(/*across_lines=*/true);
    while (!at_end()) {
      FORGE_TRY(ParseRule());
      SkipSpace(true);
    }
    FORGE_TRY(CheckDefined());
    grammar_.SetRoot(rules_.at("root").id);
    return std::move(grammar_);
  }

 private:
  struct NamedRule {
    GrammarRuleId id = 0;
    size_t first_use = 0;
    bool is_defined = false;
  };

  bool at_end() const { return position_ >= text_.size(); }
  char peek() const { return at_end() ? '\0' : text_[position_]; }
  bool Starts(std::string_view what) const { return text_.substr(position_).starts_with(what); }

  Status Malformed(size_t position, std::string_view problem) const;
  Status TooComplex(std::string_view what, uint64_t limit) const;

  void SkipSpace(bool across_lines);
  Result<std::string> ParseName();
  NamedRule& Named(const std::string& name, size_t position);
  Status ParseRule();
  Status EndRule();
  Result<GrammarNodeId> ParseChoice(uint32_t depth);
  Result<GrammarNodeId> ParseSequence(uint32_t depth);
  Result<GrammarNodeId> ParseItem(uint32_t depth);
  Result<GrammarNodeId> ParseGroup(uint32_t depth);
  Result<GrammarNodeId> ParseRepeats(GrammarNodeId item, bool across_lines);
  Result<GrammarNodeId> ParseBraces(GrammarNodeId item);
  Result<uint32_t> ParseCount();
  Result<GrammarNodeId> ParseLiteral();
  Result<GrammarNodeId> ParseClass();
  Result<char32_t> ParseCharacter();
  Result<char32_t> ParseEscape();
  Result<char32_t> ParseHex(size_t n_digits);
  Status CheckDefined() const;

  std::string_view text_;
  size_t position_ = 0;
  Grammar grammar_;
  std::map<std::string, NamedRule> rules_;
};

Status GbnfParser::Malformed(size_t position, std::string_view problem) const {
  uint64_t line = 1, column = 1;
  for (size_t i = 0; i < position && i < text_.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text_[i]);
    if (byte == '\n') {
      ++line;
      column = 1;
    } else if ((byte & 0xc0) != 0x80) {  // columns count characters
      ++column;
    }
  }
  return InvalidArgument("grammar is malformed at line " + std::to_string(line) + ", column " +
                         std::to_string(column) + ": " + std::string(problem))
      .WithReason("GRAMMAR_INVALID")
      .WithDetail("line", line)
      .WithDetail("column", column);
}

Status GbnfParser::TooComplex(std::string_view what, uint64_t limit) const {
  return InvalidArgument("grammar is too large: it has more than " + std::to_string(limit) + " " +
                         std::string(what))
      .WithReason("GRAMMAR_TOO_COMPLEX")
      .WithDetail("limit", limit);
}

void GbnfParser::SkipSpace(bool across_lines) {
  while (!at_end()) {
    const char c = peek();
    if (c == '#') {
      while (!at_end() && peek() != '\n') ++position_;
    } else if (c == ' ' || c == '\t' || (across_lines && (c == '\n' || c == '\r'))) {
      ++position_;
    } else {
      return;
    }
  }
}

Result<std::string> GbnfParser::ParseName() {
  const size_t start = position_;
  while (!at_end() && IsNameCharacter(peek())) ++position_;
  if (position_ == start)
    return Malformed(start, "expected the name of a rule (letters, digits, '-' and '_')");
  return std::string(text_.substr(start, position_ - start));
}

GbnfParser::NamedRule& GbnfParser::Named(const std::string& name, size_t position) {
  const auto [entry, is_new] = rules_.try_emplace(name);
  if (is_new) {
    entry->second.id = grammar_.AddRule(name);
    entry->second.first_use = position;
  }
  return entry->second;
}

Status GbnfParser::ParseRule() {
  const size_t start = position_;
  FORGE_ASSIGN_OR_RETURN(const std::string name, ParseName());
  SkipSpace(false);
  if (!Starts("::=")) return Malformed(position_, "expected '::=' after the rule's name");
  position_ += 3;
  SkipSpace(true);
  if (Named(name, start).is_defined)
    return Malformed(start, "rule '" + name + "' is defined a second time");
  FORGE_ASSIGN_OR_RETURN(const GrammarNodeId body, ParseChoice(0));
  NamedRule& rule = Named(name, start);
  rule.is_defined = true;
  grammar_.SetBody(rule.id, body);
  if (grammar_.n_rules() > kMaxGrammarRules) return TooComplex("rules", kMaxGrammarRules);
  return EndRule();
}

Status GbnfParser::EndRule() {
  if (at_end() || peek() == '\n' || Starts("\r\n")) return Status();
  if (peek() == ')') return Malformed(position_, "')' without '('");
  if (peek() == '<' || peek() == '!')
    return Malformed(position_, "tokens in a grammar (<...>) are not supported; write their text");
  return Malformed(position_,
                   "expected a literal, a class, a rule, a group or the end of the line");
}

Result<GrammarNodeId> GbnfParser::ParseChoice(uint32_t depth) {
  std::vector<GrammarNodeId> alternatives;
  while (true) {
    FORGE_ASSIGN_OR_RETURN(const GrammarNodeId sequence, ParseSequence(depth));
    alternatives.push_back(sequence);
    if (grammar_.n_nodes() > kMaxGrammarNodes) return TooComplex("parts", kMaxGrammarNodes);
    // A line that begins with '|' can only go on with the rule above it.
    const size_t before = position_;
    SkipSpace(true);
    if (peek() != '|') {
      if (depth == 0) position_ = before;
      return grammar_.Choice(alternatives);
    }
    ++position_;
    SkipSpace(true);
  }
}

Result<GrammarNodeId> GbnfParser::ParseSequence(uint32_t depth) {
  std::vector<GrammarNodeId> parts;
  while (true) {
    const char c = peek();
    const bool is_item = c == '"' || c == '[' || c == '(' || c == '.' || IsNameCharacter(c);
    if (at_end() || !is_item) {
      if (c == '*' || c == '+' || c == '?' || c == '{')
        return Malformed(position_, "a repetition needs something before it");
      return grammar_.Sequence(parts);
    }
    FORGE_ASSIGN_OR_RETURN(const GrammarNodeId item, ParseItem(depth));
    FORGE_ASSIGN_OR_RETURN(const GrammarNodeId repeated, ParseRepeats(item, depth > 0));
    parts.push_back(repeated);
    if (grammar_.n_nodes() > kMaxGrammarNodes) return TooComplex("parts", kMaxGrammarNodes);
  }
}

Result<GrammarNodeId> GbnfParser::ParseItem(uint32_t depth) {
  switch (peek()) {
    case '"':
      return ParseLiteral();
    case '[':
      return ParseClass();
    case '(':
      return ParseGroup(depth);
    case '.':
      ++position_;
      return grammar_.Chars(CharSet::All());
    default:
      break;
  }
  const size_t start = position_;
  FORGE_ASSIGN_OR_RETURN(const std::string name, ParseName());
  return grammar_.Reference(Named(name, start).id);
}

Result<GrammarNodeId> GbnfParser::ParseGroup(uint32_t depth) {
  const size_t start = position_;
  if (depth >= kMaxNesting)
    return Malformed(start, "groups are nested deeper than " + std::to_string(kMaxNesting))
        .WithReason("GRAMMAR_TOO_COMPLEX");
  ++position_;
  SkipSpace(true);
  FORGE_ASSIGN_OR_RETURN(const GrammarNodeId inner, ParseChoice(depth + 1));
  if (peek() != ')') {
    if (at_end()) return Malformed(start, "this '(' is never closed");
    return Malformed(position_, "expected ')' or another part of the group");
  }
  ++position_;
  return inner;
}

Result<GrammarNodeId> GbnfParser::ParseRepeats(GrammarNodeId item, bool across_lines) {
  uint32_t n_operators = 0;
  while (true) {
    SkipSpace(across_lines);
    const char c = peek();
    if (c != '*' && c != '+' && c != '?' && c != '{') return item;
    if (++n_operators > kMaxNesting)
      return Malformed(position_, "too many repetitions of one another")
          .WithReason("GRAMMAR_TOO_COMPLEX");
    if (c == '{') {
      FORGE_ASSIGN_OR_RETURN(item, ParseBraces(item));
      continue;
    }
    ++position_;
    item = grammar_.Repeat(item, c == '+' ? 1 : 0, c == '?' ? 1 : Grammar::kUnbounded);
  }
}

Result<GrammarNodeId> GbnfParser::ParseBraces(GrammarNodeId item) {
  const size_t start = position_;
  ++position_;
  SkipSpace(false);
  FORGE_ASSIGN_OR_RETURN(const uint32_t min, ParseCount());
  uint32_t max = min;
  SkipSpace(false);
  if (peek() == ',') {
    ++position_;
    SkipSpace(false);
    max = Grammar::kUnbounded;
    if (IsDigit(peek())) {
      FORGE_ASSIGN_OR_RETURN(max, ParseCount());
    }
    SkipSpace(false);
  }
  if (peek() != '}') return Malformed(position_, "expected '}' to end the repetition");
  ++position_;
  if (min > max)
    return Malformed(start, "a repetition of at least " + std::to_string(min) + " and at most " +
                                std::to_string(max));
  return grammar_.Repeat(item, min, max);
}

Result<uint32_t> GbnfParser::ParseCount() {
  const size_t start = position_;
  uint32_t count = 0;
  while (!at_end() && IsDigit(peek())) {
    count = count * 10 + static_cast<uint32_t>(peek() - '0');
    ++position_;
    if (count > kMaxRepetitions)
      return Malformed(start, "a repetition of more than " + std::to_string(kMaxRepetitions))
          .WithReason("GRAMMAR_TOO_COMPLEX");
  }
  if (position_ == start) return Malformed(start, "expected a number of repetitions");
  return count;
}

Result<GrammarNodeId> GbnfParser::ParseLiteral() {
  const size_t start = position_++;
  std::string bytes;
  while (peek() != '"') {
    if (at_end() || peek() == '\n') return Malformed(start, "this literal is never closed");
    FORGE_ASSIGN_OR_RETURN(const char32_t character, ParseCharacter());
    AppendUtf8(character, bytes);
  }
  ++position_;
  return grammar_.Literal(std::move(bytes));
}

Result<GrammarNodeId> GbnfParser::ParseClass() {
  const size_t start = position_++;
  const bool is_negated = peek() == '^';
  if (is_negated) ++position_;
  std::vector<CodePointRange> ranges;
  while (peek() != ']') {
    const size_t range_start = position_;
    if (at_end() || peek() == '\n') return Malformed(start, "this class is never closed");
    FORGE_ASSIGN_OR_RETURN(const char32_t first, ParseCharacter());
    char32_t last = first;
    if (peek() == '-' && position_ + 1 < text_.size() && text_[position_ + 1] != ']') {
      ++position_;
      FORGE_ASSIGN_OR_RETURN(last, ParseCharacter());
      if (last < first) return Malformed(range_start, "this range ends before it begins");
    }
    ranges.push_back({first, last});
  }
  ++position_;
  CharSet allowed(std::move(ranges));
  const bool lists_nothing = allowed.empty();
  if (is_negated) allowed = allowed.Complement();
  if (lists_nothing || allowed.empty()) return Malformed(start, "this class holds no character");
  return grammar_.Chars(std::move(allowed));
}

Result<char32_t> GbnfParser::ParseCharacter() {
  if (peek() == '\\') return ParseEscape();
  const Utf8Step step = DecodeUtf8(text_, position_);
  if (step.kind != Utf8Step::Kind::kCharacter) return Malformed(position_, "this is not UTF-8");
  position_ += step.size;
  return step.code_point;
}

Result<char32_t> GbnfParser::ParseEscape() {
  const size_t start = position_;
  position_ += 2;
  const char c = start + 1 < text_.size() ? text_[start + 1] : '\0';
  switch (c) {
    case 'n':
      return U'\n';
    case 't':
      return U'\t';
    case 'r':
      return U'\r';
    case 'x':
      return ParseHex(2);
    case 'u':
      return ParseHex(4);
    case 'U':
      return ParseHex(8);
    case '\\':
    case '"':
    case '[':
    case ']':
    case '-':
    case '^':
      return static_cast<char32_t>(c);
    default:
      return Malformed(start,
                       "unknown escape; there are \\n \\t \\r \\\\ \\\" \\[ \\] \\- \\^ \\xNN "
                       "\\uNNNN \\UNNNNNNNN");
  }
}

Result<char32_t> GbnfParser::ParseHex(size_t n_digits) {
  const size_t start = position_ - 2;
  char32_t value = 0;
  for (size_t i = 0; i < n_digits; ++i, ++position_) {
    const int digit = HexValue(peek());
    if (digit < 0)
      return Malformed(start, "this escape needs " + std::to_string(n_digits) + " hex digits");
    value = value * 16 + static_cast<char32_t>(digit);
    if (value > kMaxCodePoint) return Malformed(start, "this is above U+10FFFF");
  }
  if (value >= 0xd800 && value <= 0xdfff)
    return Malformed(start, "this is a surrogate, which is no character");
  return value;
}

Status GbnfParser::CheckDefined() const {
  const NamedRule* missing = nullptr;
  std::string_view missing_name;
  for (const auto& [name, rule] : rules_) {
    if (rule.is_defined || (missing != nullptr && missing->first_use < rule.first_use)) continue;
    missing = &rule;
    missing_name = name;
  }
  if (missing != nullptr)
    return Malformed(missing->first_use,
                     "rule '" + std::string(missing_name) + "' is used but not defined");
  const auto root = rules_.find("root");
  if (root == rules_.end()) return Malformed(text_.size(), "there is no rule 'root'");
  return Status();
}

}  // namespace

Result<Grammar> ParseGbnf(std::string_view text) { return GbnfParser(text).Parse(); }

}  // namespace forge
