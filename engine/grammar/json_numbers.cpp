#include "engine/grammar/json_numbers.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace forge {
namespace {

// Bound on the length of one-sided ranges: numbers up to here, or a little past a larger bound.
constexpr size_t kUsualDigits = 9;

std::string Nines(size_t n) { return std::string(n, '9'); }

// The digits of the numbers between two others of as many digits, in all three uses: fractions,
// integers of one length, and both with an open end.
//
// `low` and `high` are compared digit by digit; a digit that a bound lacks is 0. `is_tight_low`
// says that the digits so far equal those of `low`, so that the next may not be smaller; likewise
// high.
class DigitRange {
 public:
  DigitRange(Grammar& grammar, JsonText& text, const NumberBound* low, const NumberBound* high,
             size_t n_digits)
      : grammar_(grammar), text_(text), low_(low), high_(high), n_digits_(n_digits) {}

  // The fraction with its point, or nothing, of numbers whose integer part equals that of the
  // bounds given to the constructor (null: not of that one).
  GrammarNodeId Fraction() {
    std::vector<GrammarNodeId> choices;
    if (MayStop(0, low_ != nullptr, high_ != nullptr)) choices.push_back(grammar_.Empty());
    if (n_digits_ > 0)
      choices.push_back(
          grammar_.Sequence({grammar_.Literal("."), Digits(0, low_ != nullptr, high_ != nullptr)}));
    return grammar_.Choice(choices);
  }

 private:
  static char DigitOf(const NumberBound& bound, size_t i) {
    return i < bound.value.fraction.size() ? bound.value.fraction[i] : '0';
  }
  static bool IsZeroFrom(const NumberBound& bound, size_t i) {
    return i >= bound.value.fraction.size();  // no trailing zeros
  }

  // Whether a number that ends before digit i is within the bounds.
  bool MayStop(size_t i, bool is_tight_low, bool is_tight_high) const {
    if (is_tight_low && (!IsZeroFrom(*low_, i) || low_->is_exclusive)) return false;
    return !is_tight_high || !IsZeroFrom(*high_, i) || !high_->is_exclusive;
  }

  // Digit i and those behind it, of which the number may have any.
  GrammarNodeId Digits(size_t i, bool is_tight_low, bool is_tight_high) {
    if (!is_tight_low && !is_tight_high)
      return text_.Some("0-9", 1, static_cast<uint32_t>(n_digits_ - i));
    const char least = is_tight_low ? DigitOf(*low_, i) : '0';
    const char most = is_tight_high ? DigitOf(*high_, i) : '9';
    std::vector<GrammarNodeId> choices;
    const auto add = [&](char first, char last, bool low, bool high) {
      if (first > last) return;
      const CodePointRange digits = {static_cast<char32_t>(first), static_cast<char32_t>(last)};
      choices.push_back(
          grammar_.Sequence({grammar_.Chars(CharSet({digits})), After(i + 1, low, high)}));
    };
    if (least > most) return grammar_.Nothing();
    if (is_tight_low && is_tight_high && least == most) {
      add(least, least, true, true);
      return grammar_.Choice(choices);
    }
    if (is_tight_low) add(least, least, true, false);
    if (is_tight_high) add(most, most, false, true);
    add(static_cast<char>(is_tight_low ? least + 1 : '0'),
        static_cast<char>(is_tight_high ? most - 1 : '9'), false, false);
    return grammar_.Choice(choices);
  }

  GrammarNodeId After(size_t i, bool is_tight_low, bool is_tight_high) {
    std::vector<GrammarNodeId> choices;
    if (MayStop(i, is_tight_low, is_tight_high)) choices.push_back(grammar_.Empty());
    if (i < n_digits_) choices.push_back(Digits(i, is_tight_low, is_tight_high));
    return grammar_.Choice(choices);
  }

  Grammar& grammar_;
  JsonText& text_;
  const NumberBound* low_;
  const NumberBound* high_;
  const size_t n_digits_;
};

// Integers of as many digits as `low` and `high` have.
GrammarNodeId SameLength(std::string_view low, std::string_view high, bool is_tight_low,
                         bool is_tight_high, Grammar& grammar, JsonText& text) {
  const auto n = static_cast<uint32_t>(low.size());
  if (n == 0) return grammar.Empty();
  if (!is_tight_low && !is_tight_high) return text.Some("0-9", n, n);
  const char least = is_tight_low ? low[0] : '0';
  const char most = is_tight_high ? high[0] : '9';
  std::vector<GrammarNodeId> choices;
  const auto add = [&](char first, char last, bool tight_low, bool tight_high) {
    if (first > last) return;
    const CodePointRange digits = {static_cast<char32_t>(first), static_cast<char32_t>(last)};
    choices.push_back(grammar.Sequence(
        {grammar.Chars(CharSet({digits})),
         SameLength(low.substr(1), high.substr(1), tight_low, tight_high, grammar, text)}));
  };
  if (is_tight_low && is_tight_high && least == most) {
    add(least, least, true, true);
    return grammar.Choice(choices);
  }
  if (is_tight_low) add(least, least, true, false);
  if (is_tight_high) add(most, most, false, true);
  add(static_cast<char>(is_tight_low ? least + 1 : '0'),
      static_cast<char>(is_tight_high ? most - 1 : '9'), false, false);
  return grammar.Choice(choices);
}

int CompareDigits(const std::string& a, const std::string& b) {
  if (a.size() != b.size()) return a.size() < b.size() ? -1 : 1;
  return a.compare(b) < 0 ? -1 : a == b ? 0 : 1;
}

std::string Successor(std::string digits) {
  size_t i = digits.size();
  while (i > 0 && digits[i - 1] == '9') digits[--i] = '0';
  if (i == 0) return "1" + digits;
  ++digits[i - 1];
  return digits;
}

// REQUIRES: not "0".
std::string Predecessor(std::string digits) {
  size_t i = digits.size();
  while (digits[i - 1] == '0') digits[--i] = '9';
  --digits[i - 1];
  return digits.size() > 1 && digits[0] == '0' ? digits.substr(1) : digits;
}

// Integers from `low` to `high`, without sign.
GrammarNodeId Integers(const std::string& low, const std::string& high, Grammar& grammar,
                       JsonText& text) {
  if (CompareDigits(low, high) > 0) return grammar.Nothing();
  if (low.size() == high.size()) return SameLength(low, high, true, true, grammar, text);
  std::vector<GrammarNodeId> choices = {
      SameLength(low, Nines(low.size()), true, true, grammar, text),
      SameLength("1" + std::string(high.size() - 1, '0'), high, true, true, grammar, text)};
  // Those that have more digits than `low` and less than `high`.
  if (low.size() + 1 < high.size())
    choices.push_back(
        grammar.Sequence({text.OneOf("1-9"), text.Some("0-9", static_cast<uint32_t>(low.size()),
                                                       static_cast<uint32_t>(high.size() - 2))}));
  return grammar.Choice(choices);
}

// Numbers of 0 or more between two bounds of 0 or more, with up to `n_fraction` digits behind the
// point.
GrammarNodeId Unsigned(const NumberBound& low, const NumberBound& high, size_t n_fraction,
                       Grammar& grammar, JsonText& text) {
  if (Compare(low.value, high.value) > 0) return grammar.Nothing();
  const auto with_fraction = [&](GrammarNodeId integers, const NumberBound* least,
                                 const NumberBound* most) {
    DigitRange fraction(grammar, text, least, most, n_fraction);
    return grammar.Sequence({integers, fraction.Fraction()});
  };
  const std::string& first = low.value.integer;
  const std::string& last = high.value.integer;
  if (first == last) return with_fraction(grammar.Literal(first), &low, &high);
  std::vector<GrammarNodeId> choices = {with_fraction(grammar.Literal(first), &low, nullptr),
                                        with_fraction(grammar.Literal(last), nullptr, &high)};
  if (CompareDigits(Successor(first), last) < 0)
    choices.push_back(with_fraction(Integers(Successor(first), Predecessor(last), grammar, text),
                                    nullptr, nullptr));
  return grammar.Choice(choices);
}

// The integer bound that means the same to integers.
NumberBound IntegerBound(const NumberBound& bound, bool is_least) {
  NumberBound rounded = {bound.value, false};
  Decimal& value = rounded.value;
  const bool was_integer = value.fraction.empty();
  value.fraction.clear();
  // Away from zero for a least positive or a most negative one; the fraction is cut otherwise.
  const bool grows = value.is_negative != is_least;
  if ((!was_integer && grows) ||
      (was_integer && bound.is_exclusive && (grows || value.is_zero()))) {
    value.integer = Successor(value.integer);
    if (bound.value.is_zero()) value.is_negative = !is_least;
  } else if (was_integer && bound.is_exclusive) {
    value.integer = Predecessor(value.integer);
  }
  if (value.integer == "0") value.is_negative = false;
  return rounded;
}

bool IsFar(const NumberBound& bound) { return bound.value.integer.size() > kMostDigits; }

// A range with both bounds, each of at most kMostDigits digits before the point; nullopt if that
// cannot be had.
std::optional<std::pair<NumberBound, NumberBound>> BothBounds(const NumberRange& range) {
  // Bounds that are farther than what is written anyway are none.
  std::vector<NumberBound> least, most;
  if (range.least && !(IsFar(*range.least) && range.least->value.is_negative))
    least.push_back(range.only_integers ? IntegerBound(*range.least, true) : *range.least);
  if (range.most && !(IsFar(*range.most) && !range.most->value.is_negative))
    most.push_back(range.only_integers ? IntegerBound(*range.most, false) : *range.most);
  size_t n_digits = range.only_integers ? kMostDigits : kUsualDigits;
  for (const std::vector<NumberBound>* bounds : {&least, &most}) {
    for (const NumberBound& bound : *bounds) {
      if (IsFar(bound)) return std::nullopt;
      n_digits = std::max(n_digits, std::min(kMostDigits, bound.value.integer.size() + 1));
    }
  }
  const NumberBound farthest = {{false, Nines(n_digits), ""}, false};
  if (most.empty()) most.push_back(farthest);
  if (least.empty()) least.push_back({farthest.value.Negated(), false});
  return std::pair(least.front(), most.front());
}

GrammarNodeId FreeNumber(bool only_integers, Grammar& grammar, JsonText& text) {
  const GrammarNodeId integer =
      grammar.Choice({grammar.Literal("0"),
                      grammar.Sequence({text.OneOf("1-9"), text.Some("0-9", 0, kMostDigits - 1)})});
  if (only_integers) return grammar.Sequence({grammar.Optional(grammar.Literal("-")), integer});
  const GrammarNodeId fraction =
      grammar.Optional(grammar.Sequence({grammar.Literal("."), text.Some("0-9", 1, kMostDigits)}));
  const GrammarNodeId exponent = grammar.Optional(
      grammar.Sequence({text.OneOf("eE"), grammar.Optional(grammar.Chars(CharSet::Of("+-"))),
                        text.Some("0-9", 1, 2)}));
  return grammar.Sequence({grammar.Optional(grammar.Literal("-")), integer, fraction, exponent});
}

}  // namespace

Decimal Decimal::Parse(std::string_view text) {
  Decimal decimal;
  if (text.starts_with('-')) {
    decimal.is_negative = true;
    text.remove_prefix(1);
  }
  const size_t exponent_at = std::min(text.find_first_of("eE"), text.size());
  const std::string_view mantissa = text.substr(0, exponent_at);
  const int exponent =
      exponent_at < text.size() ? std::stoi(std::string(text.substr(exponent_at + 1))) : 0;
  const size_t point = std::min(mantissa.find('.'), mantissa.size());
  std::string digits(mantissa.substr(0, point));
  if (point < mantissa.size()) digits += mantissa.substr(point + 1);
  // The point goes `exponent` digits to the right.
  auto n_integer = static_cast<ptrdiff_t>(point) + exponent;
  if (n_integer <= 0) {
    digits.insert(0, static_cast<size_t>(1 - n_integer), '0');
    n_integer = 1;
  }
  if (static_cast<size_t>(n_integer) > digits.size())
    digits.append(static_cast<size_t>(n_integer) - digits.size(), '0');
  decimal.integer = digits.substr(0, static_cast<size_t>(n_integer));
  decimal.fraction = digits.substr(static_cast<size_t>(n_integer));
  decimal.integer.erase(
      0, std::min(decimal.integer.find_first_not_of('0'), decimal.integer.size() - 1));
  decimal.fraction.erase(decimal.fraction.find_last_not_of('0') + 1);
  if (decimal.is_zero()) decimal.is_negative = false;
  return decimal;
}

Decimal Decimal::Negated() const {
  Decimal negated = *this;
  negated.is_negative = !is_negative && !is_zero();
  return negated;
}

int Compare(const Decimal& a, const Decimal& b) {
  if (a.is_negative != b.is_negative) return a.is_negative ? -1 : 1;
  int order = CompareDigits(a.integer, b.integer);
  if (order == 0) {
    const int difference = a.fraction.compare(b.fraction);  // a prefix is the smaller one
    order = difference < 0 ? -1 : difference > 0 ? 1 : 0;
  }
  return a.is_negative ? -order : order;
}

void NumberRange::AtLeast(NumberBound bound) {
  const int order = least ? Compare(bound.value, least->value) : 1;
  if (order > 0 || (order == 0 && bound.is_exclusive)) least = std::move(bound);
}

void NumberRange::AtMost(NumberBound bound) {
  const int order = most ? Compare(bound.value, most->value) : -1;
  if (order < 0 || (order == 0 && bound.is_exclusive)) most = std::move(bound);
}

bool NumberRange::IsEmpty() const {
  if (!least || !most) return false;
  const NumberBound low = only_integers ? IntegerBound(*least, true) : *least;
  const NumberBound high = only_integers ? IntegerBound(*most, false) : *most;
  const int order = Compare(low.value, high.value);
  return order > 0 || (order == 0 && (low.is_exclusive || high.is_exclusive));
}

std::optional<GrammarNodeId> NumberTexts(const NumberRange& range, Grammar& grammar,
                                         JsonText& text) {
  if (range.IsEmpty()) return grammar.Nothing();
  if (!range.least && !range.most) return FreeNumber(range.only_integers, grammar, text);
  const auto bounds = BothBounds(range);
  if (!bounds) return std::nullopt;
  const auto& [least, most] = *bounds;
  const size_t n_integer = std::max(least.value.integer.size(), most.value.integer.size());
  const size_t n_fraction = range.only_integers ? 0 : kMostDigits - n_integer;
  const NumberBound zero;
  std::vector<GrammarNodeId> choices;
  if (!most.value.is_negative)
    choices.push_back(
        Unsigned(least.value.is_negative ? zero : least, most, n_fraction, grammar, text));
  if (least.value.is_negative) {
    const NumberBound from = most.value.is_negative
                                 ? NumberBound{most.value.Negated(), most.is_exclusive}
                                 : NumberBound{zero.value, true};  // there is a 0 without sign
    const NumberBound to = {least.value.Negated(), least.is_exclusive};
    // Without digits behind the point, past 0 means from 1 on.
    const NumberBound first = n_fraction == 0 ? IntegerBound(from, true) : from;
    choices.push_back(
        grammar.Sequence({grammar.Literal("-"), Unsigned(first, to, n_fraction, grammar, text)}));
  }
  return grammar.Choice(choices);
}

}  // namespace forge
