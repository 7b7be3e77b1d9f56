#include "engine/grammar/json_formats.h"

#include <utility>
#include <vector>

namespace forge {
namespace {

// Writes formats; one method each.
class FormatWriter {
 public:
  FormatWriter(Grammar& grammar, JsonText& text) : g_(grammar), text_(text) {}

  // RFC 3339; the years 1000 to 9999, leap days included.
  GrammarNodeId Date() {
    const GrammarNodeId long_months =
        Join({Either({"01", "03", "05", "07", "08", "10", "12"}), g_.Literal("-"), DayTo31()});
    const GrammarNodeId short_months =
        Join({Either({"04", "06", "09", "11"}), g_.Literal("-"), DayTo30()});
    const GrammarNodeId february = Join({g_.Literal("02-"), DayTo28()});
    const GrammarNodeId any_year =
        Join({AnyYear(), g_.Literal("-"), g_.Choice({long_months, short_months, february})});
    return g_.Choice({any_year, Join({LeapYear(), g_.Literal("-02-29")})});
  }

  GrammarNodeId Time() {
    const GrammarNodeId fraction = g_.Optional(Join({g_.Literal("."), text_.Some("0-9", 1, 6)}));
    const GrammarNodeId offset =
        Join({g_.Chars(CharSet::Of("+-")), Hour(), g_.Literal(":"), Sixty()});
    return Join({Hour(), g_.Literal(":"), Sixty(), g_.Literal(":"), Sixty(), fraction,
                 g_.Choice({g_.Literal("Z"), offset})});
  }

  GrammarNodeId DateTime() { return Join({Date(), g_.Literal("T"), Time()}); }

  GrammarNodeId Uuid() {
    std::vector<GrammarNodeId> parts;
    for (const uint32_t n : {8u, 4u, 4u, 4u, 12u}) {
      if (!parts.empty()) parts.push_back(g_.Literal("-"));
      parts.push_back(text_.Some("0-9a-f", n, n));
    }
    return g_.Sequence(parts);
  }

  GrammarNodeId Email() {
    const GrammarNodeId more =
        g_.Repeat(Join({g_.Chars(CharSet::Of("._+-")), text_.Some("0-9A-Za-z", 1, 16)}), 0, 2);
    return Join({text_.Some("0-9A-Za-z", 1, 24), more, g_.Literal("@"), Hostname()});
  }

  // Up to three labels and a top-level domain.
  GrammarNodeId Hostname() {
    const GrammarNodeId inner = g_.Optional(Join({g_.Literal("-"), text_.Some("0-9a-z", 1, 20)}));
    const GrammarNodeId label = Join({text_.Some("0-9a-z", 1, 20), inner, g_.Literal(".")});
    return Join({g_.Repeat(label, 1, 3), text_.Some("a-z", 2, 10)});
  }

  GrammarNodeId Ipv4() {
    return Join(
        {Octet(), g_.Literal("."), Octet(), g_.Literal("."), Octet(), g_.Literal("."), Octet()});
  }

  // Without "::".
  GrammarNodeId Ipv6() {
    return Join({g_.Repeat(Join({text_.Some("0-9a-f", 1, 4), g_.Literal(":")}), 7, 7),
                 text_.Some("0-9a-f", 1, 4)});
  }

  // http and https.
  GrammarNodeId Uri() {
    const GrammarNodeId segment = Join({g_.Literal("/"), text_.Some("0-9A-Za-z_.~-", 0, 40)});
    return Join({Either({"https://", "http://"}), Hostname(), g_.Repeat(segment, 0, 8)});
  }

 private:
  GrammarNodeId Join(std::vector<GrammarNodeId> parts) { return g_.Sequence(parts); }
  GrammarNodeId Either(const std::vector<const char*>& texts) {
    std::vector<GrammarNodeId> choices;
    for (const char* text : texts) choices.push_back(g_.Literal(text));
    return g_.Choice(choices);
  }
  // One character of each.
  GrammarNodeId Digits(std::string_view first, std::string_view second) {
    return Join({text_.OneOf(first), text_.OneOf(second)});
  }
  GrammarNodeId DayTo28() {
    return g_.Choice({Digits("0", "1-9"), Digits("1", "0-9"), Digits("2", "0-8")});
  }
  GrammarNodeId DayTo30() { return g_.Choice({DayTo28(), g_.Literal("29"), g_.Literal("30")}); }
  GrammarNodeId DayTo31() { return g_.Choice({DayTo30(), g_.Literal("31")}); }
  GrammarNodeId AnyYear() { return Join({text_.OneOf("1-9"), text_.Some("0-9", 3, 3)}); }
  GrammarNodeId LeapYear() {
    const GrammarNodeId fours =
        g_.Choice({Digits("0", "48"), Digits("2468", "048"), Digits("13579", "26")});  // 04 to 96
    const GrammarNodeId century_fours = g_.Choice({Digits("2468", "048"), Digits("13579", "26")});
    return g_.Choice({Join({text_.OneOf("1-9"), text_.OneOf("0-9"), fours}),
                      Join({century_fours, g_.Literal("00")})});
  }
  GrammarNodeId Hour() { return g_.Choice({Digits("01", "0-9"), Digits("2", "0-3")}); }
  GrammarNodeId Sixty() { return Digits("0-5", "0-9"); }
  GrammarNodeId Octet() {
    return g_.Choice({text_.OneOf("0-9"), Digits("1-9", "0-9"),
                      Join({g_.Literal("1"), text_.Some("0-9", 2, 2)}),
                      Join({g_.Literal("2"), Digits("0-4", "0-9")}),
                      Join({g_.Literal("25"), text_.OneOf("0-5")})});
  }

  Grammar& g_;
  JsonText& text_;
};

struct Format {
  std::string_view name;
  GrammarNodeId (FormatWriter::*write)();
  uint32_t min_length, max_length;
};

constexpr Format kFormats[] = {
    {"date", &FormatWriter::Date, 10, 10},          {"time", &FormatWriter::Time, 9, 21},
    {"date-time", &FormatWriter::DateTime, 20, 32}, {"uuid", &FormatWriter::Uuid, 36, 36},
    {"email", &FormatWriter::Email, 6, 196},        {"hostname", &FormatWriter::Hostname, 4, 136},
    {"ipv4", &FormatWriter::Ipv4, 7, 15},           {"ipv6", &FormatWriter::Ipv6, 15, 39},
    {"uri", &FormatWriter::Uri, 11, 472},
};

}  // namespace

std::optional<FormatTexts> CompileFormat(std::string_view format, Grammar& grammar,
                                         JsonText& text) {
  for (const Format& known : kFormats) {
    if (known.name != format) continue;
    FormatWriter writer(grammar, text);
    return FormatTexts{(writer.*known.write)(), known.min_length, known.max_length};
  }
  return std::nullopt;
}

}  // namespace forge
