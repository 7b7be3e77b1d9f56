#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/text/jinja/text.h"

// What Python's string methods do, for filters and methods alike. All keep the marks of what they
// pass on.
namespace forge::jinja {

// Without the characters of `chars`, or white space if there is none, at the chosen ends.
Text Strip(const Text& text, const std::string* chars, bool left, bool right, Budget& budget);
// At most `max_count` replacements; all if negative.
Text Replace(const Text& text, const std::string& from, const Text& to, int64_t max_count,
             Budget& budget);
// The lines of a text, with or without the breaks that end them.
std::vector<Text> SplitLines(const Text& text, bool keep_ends, Budget& budget);

enum class Case : uint8_t {
  kUpper,
  kLower,
  kSwapped,
  kCapitalized,  // the first character upper, others lower
  kTitle,        // upper after anything that is no letter, as str.title
  kTitleFilter,  // upper after white space and - ( { [ <, as Jinja2's filter
};
Text ChangeCase(const Text& text, Case to, Budget& budget);

// Classes of str.isdigit and so on; false for an empty text.
enum class CharTest : uint8_t { kDigit, kDecimal, kNumeric, kAlpha, kAlnum, kSpace };
bool AllAre(std::string_view text, CharTest test);
// Whether there are cased characters, and all of them are upper or lower.
bool IsCased(std::string_view text, bool upper);

}  // namespace forge::jinja
