#include "engine/grammar/grammar_limits.h"

#include <gmock/gmock.h>

#include <ctime>
#include <ostream>
#include <string>

#include "tests/engine/grammar/grammar_reader.h"

namespace forge {
namespace {

using Kind = OutputConstraint::Kind;
using testing::CompileStatus;
using testing::GrammarReader;

// Of this thread, which other programs on the machine do not lengthen.
double ProcessorSeconds() {
  timespec used{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  return static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) * 1e-9;
}

// Sanitizers and debug builds take many times as long.
#if defined(NDEBUG) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
constexpr double kMostSeconds = 0.1;
#else
constexpr double kMostSeconds = 5.0;
#endif

std::string Repeat(const std::string& text, size_t n) {
  std::string repeated;
  for (size_t i = 0; i < n; ++i) repeated += text;
  return repeated;
}

// a0 ::= a1 a1, a1 ::= a2 a2, ...: texts of 2^n characters.
std::string Doubling(int n) {
  std::string grammar = "root ::= a0\n";
  for (int i = 0; i < n; ++i) {
    const std::string next = "a" + std::to_string(i + 1);
    grammar += "a" + std::to_string(i) + " ::= " + next + " " + next + "\n";
  }
  return grammar + "a" + std::to_string(n) + " ::= \"x\"\n";
}

// Each rule refers to all later ones.
std::string AllLaterRules(int n) {
  std::string grammar = "root ::= r0\n";
  for (int i = 0; i < n; ++i) {
    grammar += "r" + std::to_string(i) + " ::= \"x\"";
    for (int k = i + 1; k < n; ++k) grammar += " | r" + std::to_string(k);
    grammar += "\n";
  }
  return grammar;
}

std::string DoublingSchema(int n) {
  std::string defs;
  for (int i = 0; i < n; ++i) {
    const std::string next = "{\"$ref\":\"#/$defs/a" + std::to_string(i + 1) + "\"}";
    defs += "\"a" + std::to_string(i) + "\":{\"allOf\":[" + next + "," + next + "]},";
  }
  return "{\"$defs\":{" + defs + "\"a" + std::to_string(n) +
         "\":{\"type\":\"null\"}},\"$ref\":\"#/$defs/a0\"}";
}

// Every combination of a branch of each.
std::string ManyAnyOfs(int n) {
  std::string all;
  for (int i = 0; i < n; ++i) {
    const std::string name = "p" + std::to_string(i);
    all += (i > 0 ? "," : "") + std::string("{\"anyOf\":[{\"required\":[\"") + name +
           "\"]},{\"properties\":{\"" + name + "\":{\"type\":\"null\"}}}]}";
  }
  return "{\"type\":\"object\",\"allOf\":[" + all + "]}";
}

struct Hostile {
  const char* name;
  Kind kind;
  std::string (
      *text)();  // made by its test alone: each test is a process, which meets all of these

  friend void PrintTo(const Hostile& hostile, std::ostream* out) { *out << hostile.name; }
};

const Hostile kRefused[] = {
    {"DeepGroups", Kind::kGrammar,
     [] { return "root ::= " + std::string(100'000, '(') + "\"a\""; }},
    {"DeepRepetitions", Kind::kGrammar,
     [] { return "root ::= \"a\"" + std::string(100'000, '*'); }},
    {"DoublingRules", Kind::kGrammar, [] { return Doubling(60); }},
    {"NestedCounts", Kind::kGrammar,
     [] { return "root ::= " + Repeat("(", 20) + "\"a\"" + Repeat("){1000,1000000}", 20); }},
    {"ManyRules", Kind::kGrammar,
     [] {
       std::string grammar = "root ::= r1\n";
       for (int i = 1; i < 12'000; ++i)
         grammar += "r" + std::to_string(i) + " ::= r" + std::to_string(i + 1) + "\n";
       return grammar + "r12000 ::= \"x\"\n";
     }},
    {"ManyParts", Kind::kGrammar, [] { return "root ::= " + Repeat(".", 200'000); }},
    {"ManyAlternatives", Kind::kGrammar, [] { return "root ::= \"a\"" + Repeat("|", 200'000); }},
    {"LongLiteral", Kind::kGrammar,
     [] { return "root ::= \"" + std::string(200'000, 'a') + "\""; }},
    {"WideClasses", Kind::kGrammar,
     [] { return "root ::= " + Repeat("[^\\u0100\\u1000\\U00010000]", 8000); }},
    {"ManyOptionals", Kind::kGrammar, [] { return "root ::= \"x\"" + Repeat(" [a]?", 20'000); }},
    {"LongLeftRecursion", Kind::kGrammar,
     [] {
       std::string grammar = "root ::= r0\n";
       for (int i = 0; i < 9000; ++i)
         grammar += "r" + std::to_string(i) + " ::= r" + std::to_string((i + 1) % 9000) + "\n";
       return grammar + "x ::= \"x\"";
     }},
    {"TooLong", Kind::kGrammar, [] { return "root ::= \"a\" #" + std::string(300'000, 'x'); }},
    {"DeepSchema", Kind::kJsonSchema, [] { return Repeat("{\"items\":", 50'000); }},
    {"DeepBrackets", Kind::kJsonSchema, [] { return std::string(250'000, '['); }},
    {"AnyOfCombinations", Kind::kJsonSchema, [] { return ManyAnyOfs(40); }},
    {"ManyLongEnums", Kind::kJsonSchema,
     [] {
       std::string values;
       for (int i = 0; i < 10'000; ++i) values += (i > 0 ? "," : "") + std::to_string(i);
       return "{\"enum\":[" + values + "],\"allOf\":[{\"enum\":[" + values + "]}]}";
     }},
    {"LongPattern", Kind::kJsonSchema,
     [] { return "{\"type\":\"string\",\"pattern\":\"" + std::string(200'000, '.') + "\"}"; }},
    {"LongClass", Kind::kJsonSchema,
     [] {
       return "{\"type\":\"string\",\"pattern\":\"^[" + Repeat("\xc3\xa9-\xc3\xb6z", 20'000) +
              "]{0,3}(?=)\"}";
     }},
    {"LongNames", Kind::kJsonSchema,
     [] {
       return "{\"type\":\"object\",\"additionalProperties\":true,\"properties\":{\"" +
              std::string(200'000, 'n') + "\":true}}";
     }},
    {"HugeCounts", Kind::kJsonSchema,
     [] {
       return std::string(
           R"({"type":"array","minItems":900000,"items":{"type":"string","minLength":900000}})");
     }},
};

const Hostile kTaken[] = {
    {"NothingOften", Kind::kGrammar,
     [] {
       return "root ::= \"a\" " + Repeat("\"\"{1000000} ", 1000) + Repeat("\"\"{0,1000000} ", 1000);
     }},
    {"AllLaterRules", Kind::kGrammar, [] { return AllLaterRules(150); }},
    {"DoublingSchema", Kind::kJsonSchema, [] { return DoublingSchema(45); }},
    {"ManyProperties", Kind::kJsonSchema,
     [] {
       std::string properties;
       for (int i = 0; i < 1000; ++i)
         properties += (i > 0 ? ",\"p" : "\"p") + std::to_string(i) + "\":{\"type\":\"integer\"}";
       return "{\"type\":\"object\",\"properties\":{" + properties + "}}";
     }},
    {"LongEnum", Kind::kJsonSchema,
     [] {
       std::string values;
       for (int i = 0; i < 15'000; ++i)
         values += (i > 0 ? ",\"value" : "\"value") + std::to_string(i) + "\"";
       return "{\"enum\":[" + values + "]}";
     }},
};

class HostileGrammarTest : public ::testing::TestWithParam<Hostile> {};

TEST_P(HostileGrammarTest, IsDecidedWithin100Milliseconds) {
  const std::string text = GetParam().text();
  const double start = ProcessorSeconds();
  const Status status = CompileStatus(GetParam().kind, text);
  EXPECT_LT(ProcessorSeconds() - start, kMostSeconds);
  const bool is_refused = std::any_of(std::begin(kRefused), std::end(kRefused), [](const auto& h) {
    return std::string_view(h.name) == GetParam().name;
  });
  EXPECT_EQ(status.ok(), !is_refused) << status.ToString().substr(0, 300);
  EXPECT_TRUE(status.ok() || status.code() == StatusCode::kInvalidArgument);
}

INSTANTIATE_TEST_SUITE_P(Refused, HostileGrammarTest, ::testing::ValuesIn(kRefused),
                         [](const auto& tested) { return tested.param.name; });
INSTANTIATE_TEST_SUITE_P(Taken, HostileGrammarTest, ::testing::ValuesIn(kTaken),
                         [](const auto& tested) { return tested.param.name; });

// Grammars in which the ways to read a text multiply with its length.
const Hostile kAmbiguous[] = {
    {"TwoEndsForEachBeginning", Kind::kGrammar,
     [] { return std::string("root ::= \"x\" root \"a\" | \"x\" root \"b\" | \"x\""); }},
    {"AnyNumberOfWays", Kind::kGrammar,
     [] { return std::string("root ::= a\na ::= \"x\" | \"x\" a | \"x\" a a | \"x\" a a a"); }},
    {"NestedStars", Kind::kGrammar, [] { return std::string("root ::= (((\"x\"*)*)*)* \"y\""); }},
    {"CountsOfCounts", Kind::kGrammar,
     [] { return std::string("root ::= ((\"x\"{1,20}){1,20}){1,20} \"y\""); }},
    {"ManyNames", Kind::kGrammar, [] { return AllLaterRules(150) + "y ::= (r0 | r1 r2)*"; }},
};

class AmbiguousGrammarTest : public ::testing::TestWithParam<Hostile> {};

TEST_P(AmbiguousGrammarTest, IsFollowedOrGivenUpInBoundedTime) {
  const std::string grammar = GetParam().text();
  ASSERT_EQ(CompileStatus(GetParam().kind, grammar).ToString(), "OK");
  GrammarReader reader = GrammarReader::OfGbnf(grammar);
  const double start = ProcessorSeconds();
  const std::string text(300, 'x');
  reader.Begins(text);
  const Status& status = reader.sets().status();
  EXPECT_TRUE(status.ok() || status.reason() == "GRAMMAR_TOO_COMPLEX") << status.ToString();
  EXPECT_LT(ProcessorSeconds() - start, 10 * kMostSeconds);
}

INSTANTIATE_TEST_SUITE_P(Ambiguous, AmbiguousGrammarTest, ::testing::ValuesIn(kAmbiguous),
                         [](const auto& tested) { return tested.param.name; });

TEST(LongEnumTest, IsReadInFewWaysAtATime) {
  std::string values;
  for (int i = 0; i < 10'000; ++i)
    values += (i > 0 ? ",\"v" : "\"v") + std::to_string(i * 7919 % 10'000) + "\"";
  GrammarReader reader = GrammarReader::OfSchema("{\"enum\":[" + values + "]}");
  EXPECT_TRUE(reader.EndsWith("\"v9999\""));
  EXPECT_FALSE(reader.Begins("\"v10000"));
  EXPECT_TRUE(reader.sets().status().ok());
}

TEST(AmbiguousGrammarTest, TwoEndsForEachBeginningStayLinear) {
  GrammarReader reader =
      GrammarReader::OfGbnf("root ::= \"x\" root \"a\" | \"x\" root \"b\" | \"x\"");
  EXPECT_TRUE(reader.Accepts(std::string(200, 'x') + std::string(99, 'a') + std::string(100, 'b')));
  EXPECT_FALSE(reader.Accepts(std::string(200, 'x') + std::string(200, 'a')));
  EXPECT_LT(reader.sets().bytes(), size_t{1} << 20);
}

}  // namespace
}  // namespace forge
