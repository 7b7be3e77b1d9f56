#include "engine/text/jinja/json_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "engine/text/jinja/native.h"

namespace forge::jinja {
namespace {

using ::testing::HasSubstr;

// What Python prints of the value, or the error.
std::string Read(const std::string& json) {
  Budget budget{Limits()};
  const Result<Value> value = ReadJson(json, budget);
  return value.ok() ? ToText(*value, budget).bytes : std::string(value.status().message());
}

TEST(JsonReaderTest, ReadsEveryKindOfValue) {
  EXPECT_EQ(
      Read(R"( {"b": [1, -2.5, 1e3, true, false, null], "a": {"x": "y"}, "b2": [], "c": {}} )"),
      "{'b': [1, -2.5, 1000.0, True, False, None], 'a': {'x': 'y'}, 'b2': [], 'c': {}}");
  EXPECT_EQ(Read(R"("\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00")"), "\"\\/\b\f\n\r\té😀");
  EXPECT_EQ(Read("\"\\ud83d x\""), "\xef\xbf\xbd x");  // half of a pair
  EXPECT_EQ(Read("9223372036854775807"), "9223372036854775807");
  EXPECT_EQ(Read("18446744073709551615"), "1.8446744073709552e+19");
  EXPECT_EQ(Read(R"({"a": 1, "b": 2, "a": 3})"), "{'a': 3, 'b': 2}");
}

TEST(JsonReaderTest, RefusesWhatIsNoJson) {
  const char* const wrong[] = {"",      "{",   "[1,]",     "{\"a\"}",   "{\"a\":1,}", "{a: 1}",
                               "01",    "1.",  "1e",       "+1",        "-",          "nul",
                               "'a'",   "\"a", "\"\\x\"",  "\"\\u12\"", "\"\n\"",     "[1] 2",
                               "1e999", "NaN", "\"\xff\"", "[1 2]",     "{\"a\" 1}"};
  for (const char* json : wrong)
    EXPECT_THAT(Read(json), HasSubstr("malformed JSON at byte")) << json;
  EXPECT_THAT(Read(std::string(100'000, '[')), HasSubstr("nested too deep"));
}

}  // namespace
}  // namespace forge::jinja
