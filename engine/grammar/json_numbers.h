#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "engine/grammar/grammar.h"
#include "engine/grammar/json_text.h"

namespace forge {

// A decimal number, exactly. Invariant: no leading zeros but a single one, no trailing zeros in the
// fraction; zero is not negative.
struct Decimal {
  bool is_negative = false;
  std::string integer = "0";
  std::string fraction;

  // Of a JSON number: "-1.5e3".
  static Decimal Parse(std::string_view text);
  bool is_zero() const { return integer == "0" && fraction.empty(); }
  Decimal Negated() const;

  friend bool operator==(const Decimal&, const Decimal&) = default;
};
// -1, 0 or 1.
int Compare(const Decimal& a, const Decimal& b);

struct NumberBound {
  Decimal value;
  bool is_exclusive = false;
};

// The numbers that a schema asks for.
struct NumberRange {
  bool only_integers = false;
  std::optional<NumberBound> least, most;

  // Narrows the range.
  void AtLeast(NumberBound bound);
  void AtMost(NumberBound bound);
  // Whether no number is in it.
  bool IsEmpty() const;
};

// Longest number that is written: the digits of the integer part, or of the whole number where it
// is bounded. Different numbers of up to 15 digits stay different as double.
inline constexpr size_t kMostDigits = 15;

// JSON texts of numbers within the range; not all where that takes more than kMostDigits. nullopt
// if even the bounds do.
std::optional<GrammarNodeId> NumberTexts(const NumberRange& range, Grammar& grammar,
                                         JsonText& text);

}  // namespace forge
