#include "engine/grammar/regex_texts.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "engine/grammar/grammar_limits.h"
#include "engine/text/utf8.h"

namespace forge {
namespace {

constexpr uint32_t kUnbounded = Grammar::kUnbounded;

const CharSet& PrintableAscii() {
  static const CharSet set({{0x20, 0x7e}});
  return set;
}
const CharSet& Digits() {
  static const CharSet set({{'0', '9'}});
  return set;
}
const CharSet& WordCharacters() {
  static const CharSet set({{'0', '9'}, {'A', 'Z'}, {'a', 'z'}, {'_', '_'}});
  return set;
}
const CharSet& Spaces() {
  static const CharSet set({{'\t', '\r'}, {' ', ' '}});
  return set;
}
// Without the line ends of ECMA-262.
const CharSet& AnyButLineEnd() {
  static const CharSet set = CharSet({{'\n', '\n'}, {'\r', '\r'}, {0x2028, 0x2029}}).Complement();
  return set;
}

uint32_t Add(uint32_t a, uint32_t b) {
  return a == kUnbounded || b == kUnbounded || uint64_t{a} + b >= kUnbounded ? kUnbounded : a + b;
}
uint32_t Multiply(uint32_t a, uint32_t b) {
  if (a == 0 || b == 0) return 0;
  return a == kUnbounded || b == kUnbounded || uint64_t{a} * b >= kUnbounded ? kUnbounded : a * b;
}

// Part of a pattern: its strings, their lengths, and what it is if it is one class repeated.
struct Part {
  GrammarNodeId node = 0;
  uint32_t min = 0, max = 0;
  std::optional<CharSet> repeated;  // min to max of these, and nothing else
};

// Recursive descent; a problem stops it.
class RegexParser {
 public:
  RegexParser(std::string_view pattern, Grammar& grammar, JsonText& text)
      : pattern_(pattern), grammar_(grammar), text_(text) {}

  RegexTexts Parse(uint32_t least, uint32_t most);

 private:
  bool at_end() const { return position_ >= pattern_.size(); }
  char peek() const { return at_end() ? '\0' : pattern_[position_]; }
  bool Take(std::string_view what) {
    if (!pattern_.substr(position_).starts_with(what)) return false;
    position_ += what.size();
    return true;
  }
  void Fail(const std::string& problem) {
    if (problem_.empty()) problem_ = problem + ", at character " + std::to_string(position_ + 1);
  }
  bool failed() const { return !problem_.empty(); }

  Part OfClass(CharSet set) {
    Part part{text_.StringCharacter(set), 1, 1, std::nullopt};
    part.repeated = std::move(set);
    return part;
  }
  Part Anything() { return {Repeated(text_.StringCharacter(), 0, kUnbounded), 0, kUnbounded, {}}; }
  GrammarNodeId Repeated(GrammarNodeId node, uint32_t min, uint32_t max) {
    return grammar_.Repeat(node, min, max);
  }

  Part ParseTopAlternative();
  Part ParseChoice(uint32_t depth);
  Part ParseSequence(uint32_t depth);
  Part ParseQuantified(uint32_t depth);
  Part ParseAtom(uint32_t depth);
  Part ParseGroup(uint32_t depth);
  bool ParseCounts(uint32_t& min, uint32_t& max);
  CharSet ParseClass();
  // A character, or the set that an escape like \d stands for; `is_wide` says that engines disagree
  // about characters beyond ASCII in it.
  CharSet ParseClassAtom(bool& is_wide);
  CharSet ParseEscape(bool& is_wide);
  char32_t ParseHex(size_t n_digits);
  Part Joined(const std::vector<Part>& parts);
  Part EitherOf(const std::vector<Part>& parts);

  std::string_view pattern_;
  size_t position_ = 0;
  Grammar& grammar_;
  JsonText& text_;
  std::string problem_;
};

RegexTexts RegexParser::Parse(uint32_t least, uint32_t most) {
  std::vector<Part> alternatives;
  do {
    alternatives.push_back(ParseTopAlternative());
  } while (!failed() && Take("|"));
  if (!at_end()) Fail(peek() == ')' ? "')' without '('" : "unexpected character");
  if (failed()) return {problem_, 0, 0, 0};
  const Part whole = EitherOf(alternatives);
  RegexTexts texts{"", whole.node, whole.min, whole.max};
  if (whole.min >= least && whole.max <= most) return texts;
  if (!whole.repeated)
    return {"together with minLength or maxLength it must be one character class, as in ^[a-z]*$",
            0, 0, 0};
  texts.min_length = std::max(whole.min, least);
  texts.max_length = std::min(whole.max, most);
  texts.content =
      texts.min_length > texts.max_length
          ? grammar_.Nothing()
          : Repeated(text_.StringCharacter(*whole.repeated), texts.min_length, texts.max_length);
  return texts;
}

Part RegexParser::ParseTopAlternative() {
  std::vector<Part> parts;
  if (!Take("^")) parts.push_back(Anything());
  parts.push_back(ParseSequence(0));
  if (!Take("$")) parts.push_back(Anything());
  return parts.size() == 1 ? parts.front() : Joined(parts);
}

Part RegexParser::Joined(const std::vector<Part>& parts) {
  if (parts.size() == 1) return parts.front();
  Part joined;
  std::vector<GrammarNodeId> nodes;
  for (const Part& part : parts) {
    nodes.push_back(part.node);
    joined.min = Add(joined.min, part.min);
    joined.max = Add(joined.max, part.max);
  }
  joined.node = grammar_.Sequence(nodes);
  return joined;
}

Part RegexParser::EitherOf(const std::vector<Part>& parts) {
  if (parts.size() == 1) return parts.front();
  Part either = parts.front();
  either.repeated.reset();
  std::vector<GrammarNodeId> nodes;
  for (const Part& part : parts) {
    nodes.push_back(part.node);
    either.min = std::min(either.min, part.min);
    either.max = std::max(either.max, part.max);
  }
  either.node = grammar_.Choice(nodes);
  return either;
}

Part RegexParser::ParseChoice(uint32_t depth) {
  std::vector<Part> alternatives;
  do {
    alternatives.push_back(ParseSequence(depth));
  } while (!failed() && Take("|"));
  return EitherOf(alternatives);
}

Part RegexParser::ParseSequence(uint32_t depth) {
  std::vector<Part> parts;
  while (!failed() && !at_end() && peek() != '|' && peek() != ')') {
    if (peek() == '$' && depth == 0 &&
        (position_ + 1 == pattern_.size() || pattern_[position_ + 1] == '|'))
      break;
    parts.push_back(ParseQuantified(depth));
    if (grammar_.n_nodes() > kMaxGrammarNodes) Fail("the pattern is too complex");
  }
  if (parts.empty()) return {grammar_.Empty(), 0, 0, std::nullopt};
  return Joined(parts);
}

Part RegexParser::ParseQuantified(uint32_t depth) {
  Part part = ParseAtom(depth);
  uint32_t min = 1, max = 1;
  bool is_quantified = false;
  while (!failed()) {
    if (Take("*")) {
      min = 0, max = kUnbounded;
    } else if (Take("+")) {
      min = 1, max = kUnbounded;
    } else if (Take("?")) {
      min = 0, max = 1;
    } else if (peek() != '{' || !ParseCounts(min, max)) {
      return part;
    }
    if (is_quantified) Fail("a quantifier needs something before it");
    is_quantified = true;
    Take("?");  // lazy: the same strings
    const bool is_one_class = part.repeated && part.min == 1 && part.max == 1;
    if (!is_one_class) part.repeated.reset();
    part.node = Repeated(part.node, min, max);
    part.min = Multiply(part.min, min);
    part.max = Multiply(part.max, max);
  }
  return part;
}

bool RegexParser::ParseCounts(uint32_t& min, uint32_t& max) {
  Take("{");
  const auto count = [this](uint32_t& value) {
    const size_t start = position_;
    value = 0;
    while (peek() >= '0' && peek() <= '9' && value <= kMaxRepetitions)
      value = value * 10 + static_cast<uint32_t>(pattern_[position_++] - '0');
    return position_ > start && value <= kMaxRepetitions;
  };
  bool is_valid = count(min);
  max = min;
  if (is_valid && Take(",")) {
    max = kUnbounded;
    if (peek() != '}') is_valid = count(max);
  }
  if (!is_valid || !Take("}") || min > max) Fail("malformed or too large repetition");
  return !failed();
}

Part RegexParser::ParseAtom(uint32_t depth) {
  const char c = peek();
  if (c == '(') return ParseGroup(depth);
  if (c == '[') return OfClass(ParseClass());
  if (Take(".")) return OfClass(AnyButLineEnd());
  if (c == '*' || c == '+' || c == '?' || c == '{') Fail("a quantifier needs something before it");
  if (c == '^' || c == '$') Fail("^ and $ are supported at the ends of the pattern only");
  if (c == ']' || c == '}') Fail("a bracket that closes nothing");
  if (failed()) return {};
  bool is_wide = false;
  return OfClass(ParseClassAtom(is_wide));
}

Part RegexParser::ParseGroup(uint32_t depth) {
  Take("(");
  if (depth >= kMaxNesting) Fail("groups are nested too deep");
  if (Take("?") && !Take(":")) {
    const bool is_look_around =
        peek() == '=' || peek() == '!' ||
        (peek() == '<' && position_ + 1 < pattern_.size() &&
         (pattern_[position_ + 1] == '=' || pattern_[position_ + 1] == '!'));
    const size_t name_end = pattern_.find('>', position_);
    if (is_look_around || peek() != '<' || name_end == std::string_view::npos)
      Fail("look-around and flags are not supported");
    else
      position_ = name_end + 1;
  }
  if (failed()) return {};
  const Part inner = ParseChoice(depth + 1);
  if (!Take(")")) Fail("this group is not closed");
  return inner;
}

CharSet RegexParser::ParseClass() {
  Take("[");
  const bool is_negated = Take("^");
  std::vector<CodePointRange> ranges;
  bool is_wide = false;
  while (!failed() && !Take("]")) {
    if (at_end()) {
      Fail("this class is not closed");
      break;
    }
    const CharSet first = ParseClassAtom(is_wide);
    const auto is_single = [](const CharSet& characters) {
      return characters.ranges().size() == 1 &&
             characters.ranges()[0].first == characters.ranges()[0].last;
    };
    const bool is_range =
        peek() == '-' && position_ + 1 < pattern_.size() && pattern_[position_ + 1] != ']';
    if (!is_range || failed()) {
      ranges.insert(ranges.end(), first.ranges().begin(), first.ranges().end());
      continue;
    }
    Take("-");
    const CharSet last = ParseClassAtom(is_wide);
    if (failed()) break;
    if (!is_single(first) || !is_single(last) || first.ranges()[0].first > last.ranges()[0].first) {
      Fail("malformed range");
      break;
    }
    ranges.push_back({first.ranges()[0].first, last.ranges()[0].first});
  }
  const CharSet set(std::move(ranges));
  if (set.empty()) Fail("a class without characters means different things to different engines");
  if (!is_negated) return set;
  return is_wide ? set.Complement().Intersection(PrintableAscii()) : set.Complement();
}

CharSet RegexParser::ParseClassAtom(bool& is_wide) {
  if (peek() == '\\') return ParseEscape(is_wide);
  const Utf8Step step = DecodeUtf8(pattern_, position_);
  position_ += step.size;
  return CharSet({{step.code_point, step.code_point}});
}

CharSet RegexParser::ParseEscape(bool& is_wide) {
  Take("\\");
  if (at_end()) {
    Fail("this escape is not complete");
    return CharSet();
  }
  const char c = peek();
  ++position_;
  const auto single = [](char32_t character) { return CharSet({{character, character}}); };
  const auto ascii_without = [](const CharSet& set) {
    return PrintableAscii().Intersection(set.Complement());
  };
  is_wide |= std::string_view("dDwWsS").find(c) != std::string_view::npos;
  switch (c) {
    case 'd':
      return Digits();
    case 'D':
      return ascii_without(Digits());
    case 'w':
      return WordCharacters();
    case 'W':
      return ascii_without(WordCharacters());
    case 's':
      return Spaces();
    case 'S':
      return ascii_without(Spaces());
    case 't':
      return single('\t');
    case 'n':
      return single('\n');
    case 'r':
      return single('\r');
    case 'f':
      return single('\f');
    case 'v':
      return single('\v');
    case 'x':
      return single(ParseHex(2));
    case 'u':
      return single(ParseHex(4));
    default:
      break;
  }
  if (std::string_view("^$\\.*+?()[]{}|/-\"'#&,:;<=>@_`~!% ").find(c) == std::string_view::npos)
    Fail("this escape is not supported");
  return single(static_cast<unsigned char>(c));
}

char32_t RegexParser::ParseHex(size_t n_digits) {
  char32_t value = 0;
  for (size_t i = 0; i < n_digits; ++i) {
    const size_t digit = std::string_view("0123456789abcdef0123456789ABCDEF").find(peek());
    if (at_end() || digit == std::string_view::npos) Fail("hex digits are missing");
    if (failed()) return 0;
    value = value * 16 + static_cast<char32_t>(digit % 16);
    ++position_;
  }
  if (value >= 0xd800 && value <= 0xdfff) Fail("surrogates are not supported");
  return value;
}

}  // namespace

RegexTexts CompileRegex(std::string_view pattern, uint32_t least, uint32_t most, Grammar& grammar,
                        JsonText& text) {
  return RegexParser(pattern, grammar, text).Parse(least, most);
}

}  // namespace forge
