#include "engine/grammar/forced_text.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "engine/grammar/constraint.h"

namespace forge {
namespace {

using Kind = OutputConstraint::Kind;

class ForcedTextTest : public ::testing::Test {
 protected:
  static Automaton OfGbnf(const std::string& text) {
    return CompileConstraint({Kind::kGrammar, text}).value();
  }
  static Automaton OfSchema(const std::string& text) {
    return CompileConstraint({Kind::kJsonSchema, text}).value();
  }
  // What is foreseen after `answer`, of which one part comes after the other.
  static std::string After(const Automaton& automaton, std::string_view answer,
                           size_t most = 1000) {
    ForcedText text(automaton);
    for (const char byte : answer) text.Follow({&byte, 1});
    return text.Next(most);
  }

  const Automaton form_ = OfSchema(R"({"type": "object", "required": ["name", "kind", "at"],
      "properties": {"name": {"type": "string"}, "kind": {"const": "fox"},
                     "at": {"type": "integer"}}})");
};

TEST_F(ForcedTextTest, GoesOnToTheFirstChoice) {
  const Automaton automaton = OfGbnf(R"(root ::= "abc" [0-9] "def" ("gh" | "gi"))");
  EXPECT_EQ(After(automaton, ""), "abc");
  EXPECT_EQ(After(automaton, "a"), "bc");
  EXPECT_EQ(After(automaton, "abc"), "");
  EXPECT_EQ(After(automaton, "abc7"), "defg");
  EXPECT_EQ(After(automaton, "abc7", 2), "de");
  EXPECT_EQ(After(automaton, "abc7defgh"), "") << "the end";
  EXPECT_EQ(After(automaton, "abx"), "") << "what the grammar does not know";
}

TEST_F(ForcedTextTest, StopsWhereTheAnswerMayEnd) {
  const Automaton automaton = OfGbnf(R"(root ::= "ab" ("cd")?)");
  EXPECT_EQ(After(automaton, ""), "ab");
  EXPECT_EQ(After(automaton, "ab"), "");
  EXPECT_EQ(After(automaton, "abc"), "d");
}

TEST_F(ForcedTextTest, GivesWholeCharactersOnly) {
  EXPECT_EQ(After(OfGbnf(R"(root ::= "aé" | "aè")"), ""), "a");
  const Automaton automaton = OfGbnf(R"(root ::= "日本")");
  EXPECT_EQ(After(automaton, "", 5), "日");
  EXPECT_EQ(After(automaton, "\xe6"), "\x97\xa5本") << "the rest of one that has begun";
}

TEST_F(ForcedTextTest, FillsInAForm) {
  EXPECT_EQ(After(form_, ""), R"({"name": ")");
  EXPECT_EQ(After(form_, R"({"na)"), R"(me": ")");
  EXPECT_EQ(After(form_, R"({"name": "Otto)"), "");
  EXPECT_EQ(After(form_, R"({"name": "Otto")"), R"(, "kind": "fox", "at":)");
  EXPECT_EQ(After(form_, R"({"name": "Otto", "kind": "fox", "at": 12)"), "");
}

TEST_F(ForcedTextTest, WritesBlanksAsTheAnswerDid) {
  EXPECT_EQ(After(form_, R"({"name":"Otto")"), R"(,"kind":"fox","at":)");
  EXPECT_EQ(After(form_, R"({ "name": "Otto")"), R"(, "kind": "fox", "at":)");
  EXPECT_EQ(After(form_, "{\n  \"name\": \"Otto\""), ",\n  \"kind\": \"fox\",\n  \"at\":");
  EXPECT_EQ(After(form_, "{\n  \"name\": \"Otto\",\n "), " \"kind\": \"fox\",\n  \"at\":");
  EXPECT_EQ(After(form_, R"({"name":"a, b: c, d: e")"), R"(,"kind":"fox","at":)")
      << "those within a string tell nothing";
}

TEST_F(ForcedTextTest, LeavesChoicesOfPropertiesAlone) {
  const Automaton automaton = OfSchema(R"({"type": "object", "required": ["a"],
      "properties": {"a": {"enum": ["north", "northwest"]}, "b": {"const": 1}}})");
  EXPECT_EQ(After(automaton, ""), R"({"a": "north)");
  EXPECT_EQ(After(automaton, R"({"a": "north")"), "");
  EXPECT_EQ(After(automaton, R"({"a": "north",)"), R"( "b": 1})");
}

TEST_F(ForcedTextTest, CountsWhatMayCome) {
  ForcedText text(form_);
  text.Follow(R"({"name": ")");
  EXPECT_EQ(text.CountPossible(R"(Otto", "kind": "cat")"), 16u);
  EXPECT_EQ(text.CountPossible("\n"), 0u);
  EXPECT_EQ(text.CountPossible(""), 0u);
  EXPECT_EQ(text.Next(5), "") << "nothing was followed";
}

TEST_F(ForcedTextTest, GivesUpWhereThereAreManyWaysToRead) {
  const std::string sixty(60, 'a');
  const Automaton automaton = OfGbnf("root ::= \"a\"* \"" + sixty + "b\"");
  EXPECT_EQ(After(automaton, "", 5), "aaaaa");
  EXPECT_LT(After(automaton, "").size(), 50u);
  EXPECT_EQ(After(automaton, sixty.substr(10)), "");
}

TEST_F(ForcedTextTest, StaysSmallInALongAnswer) {
  ForcedText text(form_);
  text.Follow(R"({"name": ")");
  for (int i = 0; i < 100'000; ++i) text.Follow("ab c");
  text.Follow("\"");
  EXPECT_EQ(text.Next(100), R"(, "kind": "fox", "at":)");
}

}  // namespace
}  // namespace forge
