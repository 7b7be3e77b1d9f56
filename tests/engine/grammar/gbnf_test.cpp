#include <gmock/gmock.h>

#include <ostream>
#include <string>
#include <vector>

#include "tests/engine/grammar/grammar_reader.h"

namespace forge {
namespace {

using testing::GbnfStatus;
using testing::GrammarReader;
using ::testing::HasSubstr;

// What a grammar must take and must not, worked out by hand from the notation's description.
struct Example {
  const char* name;
  const char* grammar;
  std::vector<std::string> accepted;
  std::vector<std::string> rejected;

  friend void PrintTo(const Example& example, std::ostream* out) { *out << example.name; }
};

// The grammar of JSON as it is usually written in this notation.
constexpr const char* kJson = R"(
root   ::= object
value  ::= object | array | string | number | ("true" | "false" | "null") ws

object ::=
  "{" ws (
            string ":" ws value
    ("," ws string ":" ws value)*
  )? "}" ws

array  ::=
  "[" ws (
            value
    ("," ws value)*
  )? "]" ws

string ::=
  "\"" (
    [^"\\\x7F\x00-\x1F] |
    "\\" (["\\bfnrt] | "u" [0-9a-fA-F]{4}) # escapes
  )* "\"" ws

number ::= ("-"? ([0-9] | [1-9] [0-9]{0,15})) ("." [0-9]+)? ([eE] [-+]? [0-9] [1-9]{0,15})? ws

# Optional space: by convention, applied in this grammar after literal chars when allowed
ws ::= | " " | "\n" [ \t]{0,20}
)";

constexpr const char* kChess = R"(# Specifies chess moves as a list in algebraic notation
root    ::= "1. " move " " move "\n" ([1-9] [0-9]? ". " move " " move "\n")+
move    ::= (pawn | nonpawn | castle) [+#]?

# piece type, optional file/rank, optional capture, dest file & rank
nonpawn ::= [NBKQR] [a-h]? [1-8]? "x"? [a-h] [1-8]

# optional file & capture, dest file & rank, optional promotion
pawn    ::= ([a-h] "x")? [a-h] [1-8] ("=" [NBKQR])?

castle  ::= "O-O" "-O"?
)";

const Example kExamples[] = {
    {"Literal", R"(root ::= "ab\n\"c")", {"ab\n\"c"}, {"", "ab", "ab\n\"", "ab\n\"cd", "AB\n\"c"}},
    {"LiteralEscapes",
     R"(root ::= "\x41\u00e9\U0001F600\\\t\r\[\]")",
     {"A\xc3\xa9\xf0\x9f\x98\x80\\\t\r[]"},
     {"A\xe9", "A"}},
    {"EmptyLiteral", R"(root ::= "" "a" "")", {"a"}, {"", "aa"}},
    {"Alternation",
     "root ::= \"a\" | \"b\" \"c\" | \"d\"",
     {"a", "bc", "d"},
     {"b", "ac", "", "ad"}},
    {"EmptyAlternative", "root ::= \"a\" opt \"b\"\nopt ::= | \"x\"", {"ab", "axb"}, {"axxb", "a"}},
    {"Groups", R"(root ::= ("a" | ("b" "c")) "d")", {"ad", "bcd"}, {"abcd", "bd", "a"}},
    {"GroupsOverLines", "root ::= (\n \"a\" # one\n | \n \"b\"\n )\n", {"a", "b"}, {"ab", ""}},
    {"LineThatBeginsWithABar", "root ::= \"a\"\n  | \"b\"\nother ::= \"c\"", {"a", "b"}, {"c"}},
    {"BarAtTheEndOfALine", "root ::= \"a\" |\n \"b\"\n", {"a", "b"}, {"ab"}},
    {"CarriageReturns", "root ::= \"a\"\r\n\r\nx ::= \"b\"\r\n", {"a"}, {"b"}},
    {"Class", "root ::= [a-cx_-]", {"a", "b", "c", "x", "_", "-"}, {"d", "ab", "", "w"}},
    {"ClassWithLeadingDash", "root ::= [-+]", {"-", "+"}, {",", "a"}},
    {"NegatedClass",
     R"(root ::= [^a-z"\n])",
     {"A", "0", "\xc3\xa9", "\xf0\x9f\x98\x80", "\t"},
     {"a", "q", "\"", "\n", "", "AB", "\xc3", "\xff", "\xed\xa0\x80"}},
    {"ClassEscapes",
     R"(root ::= [\]\[\\\x30-\x39\u4e00-\u9fff]+)",
     {"]", "[", "\\", "05", "\xe4\xb8\xad\xe6\x96\x87"},
     {"a", "\xe3\x81\x82", ""}},
    {"ClassAcrossSurrogates",
     R"(root ::= [\ud7ff-\ue000])",
     {"\xed\x9f\xbf", "\xee\x80\x80"},
     {"\xed\xa0\x80", "\xed\xbf\xbf", "\xed\x9f\xbe", "\xee\x80\x81"}},
    {"ClassOutOfOrder", "root ::= [x-zb-da-c]", {"a", "b", "d", "x", "z"}, {"e", "w", ""}},
    {"ClassesAgain",
     "root ::= [a] [b] [b] [^b]",
     {"abba", "abbc"},
     {"abbb", "aaba", "abaa", "bbba"}},
    {"Dot", "root ::= . .", {"ab", "\xc3\xa9x", "\n\n"}, {"a", "abc", "\xc3\xa9", "a\xff"}},
    {"Star", R"(root ::= "a"* "b")", {"b", "ab", "aaaab"}, {"", "a", "ba"}},
    {"Plus", R"(root ::= "ab"+)", {"ab", "abab"}, {"", "a", "aba"}},
    {"Question", R"(root ::= "a"? "b"?)", {"", "a", "b", "ab"}, {"ba", "aa"}},
    {"Exactly", R"(root ::= "a"{3})", {"aaa"}, {"", "aa", "aaaa"}},
    {"AtLeast", R"(root ::= "a"{2,})", {"aa", "aaa", "aaaaaa"}, {"", "a"}},
    {"Between", R"(root ::= "a"{1,3} "b")", {"ab", "aab", "aaab"}, {"b", "aaaab"}},
    {"Zero", R"(root ::= "a" "b"{0} "c"{0,1})", {"a", "ac"}, {"ab", "abc"}},
    {"CountedGroup",
     R"(root ::= ([a-z]+ ","){2,40} ".")",
     {"a,b,.", "abc,d,e,."},
     {"a,.", ".", "a,b,"}},
    {"LongCount",
     R"(root ::= [0-9]{100,200})",
     {std::string(100, '1'), std::string(200, '2')},
     {std::string(99, '1'), std::string(201, '2')}},
    {"RepetitionOfARepetition",
     R"(root ::= (("a"{2}){2,3})? )",
     {"", "aaaa", "aaaaaa"},
     {"aa", "aaaaa", "aaaaaaaa"}},
    {"RepetitionOfWhatMayBeEmpty",
     R"(root ::= ("a"? "b"?){0,100} "c")",
     {"c", "abac", "bac", "bbbc"},
     {"", "ca"}},
    {"NestedStars",
     R"(root ::= (("a"* "b")* "c")*)",
     {"", "c", "bc", "aabbc", "abcaabc"},
     {"a", "ab", "ca"}},
    {"RightRecursion",
     "root ::= item | item \",\" root\nitem ::= [a-z]",
     {"a", "a,b,c"},
     {"", "a,", ",a"}},
    {"CentralRecursion",
     "root ::= \"(\" root \")\" | \"x\"",
     {"x", "(x)", "(((x)))"},
     {"(x", "x)", "((x)"}},
    {"AmbiguousPrefixes",
     R"(root ::= "a"* "a"* "a"* "b" | "aaaa")",
     {"aab", "aaaa", "b"},
     {"aaa", "aaaab "}},
    {"CommentsAndBlankLines", "# first\n\nroot ::= \"a\" # rest\n\n# more\n", {"a"}, {"#"}},
    {"NamesWithDigitsAndDashes", "root ::= a-1 b_2\na-1 ::= \"x\"\nb_2 ::= \"y\"", {"xy"}, {"x"}},
    {"Json",
     kJson,
     {"{}", R"({"a": 1})", R"({"a":[1,2.5,-3e+7,"x\u00e9\n",null,true,{"b":{}}], "c": "" })",
      "{\n  \"key\": [ ]\n}"},
     {"", "[]", "{", R"({"a"})", R"({"a":01})", R"({"a":"\x"})", "{\"a\":\"\n\"}", R"({"a":1,})",
      R"({a:1})", R"({"a":+1})"}},
    {"Arithmetic",
     R"g(
root  ::= (expr "=" ws term "\n")+
expr  ::= term ([-+*/] term)*
term  ::= ident | num | "(" ws expr ")" ws
ident ::= [a-z] [a-z0-9_]* ws
num   ::= [0-9]+ ws
ws    ::= [ \t\n]*
)g",
     {"1+2= 3\n", "x *(y1 -2)= z\n", "a=b\nc=d\n", "((1)+2)*3 = 9 \n"},
     {"", "1+2", "1+=3\n", "(1=2\n", "1+2=3", "X=1\n"}},
    {"List",
     R"(
root ::= item+
# Excludes various line break characters
item ::= "- " [^\r\n\x0b\x0c\x85\u2028\u2029]+ "\n"
)",
     {"- one\n", "- one\n- two \xe2\x82\xac\n"},
     {"", "one\n", "- one", "- \n", "- a\xe2\x80\xa8\n", "- a\xc2\x85\n"}},
    {"Chess",
     kChess,
     {"1. e4 e5\n2. Nf3 Nc6\n", "1. e4 e5\n2. O-O O-O-O\n", "1. exd5 Qxd5+\n12. e8=Q Kd7#\n"},
     {"1. e4 e5\n", "1. e9 e5\n2. e4 e5\n", "2. e4 e5\n3. e4 e5\n", "1. e4 e5\n2. Nf3 Nc6"}},
    {"Japanese",
     R"(
# A probably incorrect grammar for Japanese
root        ::= jp-char+ ([ \t\n] jp-char+)*
jp-char     ::= hiragana | katakana | punctuation | cjk
hiragana    ::= [ぁ-ゟ]
katakana    ::= [ァ-ヿ]
punctuation ::= [、-〾]
cjk         ::= [一-鿿]
)",
     {"日本語", "こんにちは 世界", "カタカナ、です"},
     {"", "abc", "日本 ", "日本語a"}},
};

class GbnfTest : public ::testing::TestWithParam<Example> {};

TEST_P(GbnfTest, AcceptsAndRejects) {
  const Example& example = GetParam();
  ASSERT_EQ(GbnfStatus(example.grammar).ToString(), "OK");
  GrammarReader reader = GrammarReader::OfGbnf(example.grammar);
  for (const std::string& text : example.accepted) {
    EXPECT_TRUE(reader.Accepts(text)) << text;
    for (size_t n = 0; n < text.size(); ++n)
      EXPECT_TRUE(reader.Begins(text.substr(0, n))) << text << " up to " << n;
  }
  for (const std::string& text : example.rejected) EXPECT_FALSE(reader.Accepts(text)) << text;
}

INSTANTIATE_TEST_SUITE_P(Examples, GbnfTest, ::testing::ValuesIn(kExamples),
                         [](const auto& tested) { return tested.param.name; });

struct Mistake {
  const char* name;
  std::string grammar;
  const char* reason;
  const char* message;

  friend void PrintTo(const Mistake& mistake, std::ostream* out) { *out << mistake.name; }
};

class GbnfMistakeTest : public ::testing::TestWithParam<Mistake> {};

TEST_P(GbnfMistakeTest, IsRefusedSayingWhatAndWhere) {
  const Status status = GbnfStatus(GetParam().grammar);
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << status.ToString();
  EXPECT_EQ(status.reason(), GetParam().reason);
  EXPECT_THAT(std::string(status.message()), HasSubstr(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(
    Mistakes, GbnfMistakeTest,
    ::testing::Values(
        Mistake{"NoRoot", "a ::= \"x\"", "GRAMMAR_INVALID", "no rule 'root'"},
        Mistake{"Empty", "", "GRAMMAR_INVALID", "no rule 'root'"},
        Mistake{"Undefined", "root ::= \"x\"\n  | abc", "GRAMMAR_INVALID",
                "line 2, column 5: rule 'abc' is used but not defined"},
        Mistake{"Twice", "root ::= \"x\"\nroot ::= \"y\"", "GRAMMAR_INVALID",
                "line 2, column 1: rule 'root' is defined a second time"},
        Mistake{"NoAssignment", "root = \"x\"", "GRAMMAR_INVALID",
                "line 1, column 6: expected '::='"},
        Mistake{"OpenLiteral", "root ::= \"x", "GRAMMAR_INVALID",
                "line 1, column 10: this literal is never closed"},
        Mistake{"OpenClass", "root ::= [a-z", "GRAMMAR_INVALID", "this class is never closed"},
        Mistake{"OpenGroup", "root ::= (\"a\"\n", "GRAMMAR_INVALID",
                "line 1, column 10: this '(' is never closed"},
        Mistake{"StrayParenthesis", "root ::= \"a\")", "GRAMMAR_INVALID", "')' without '('"},
        Mistake{"EmptyClass", "root ::= []", "GRAMMAR_INVALID", "holds no character"},
        Mistake{"ReversedRange", "root ::= [z-a]", "GRAMMAR_INVALID", "ends before it begins"},
        Mistake{"UnknownEscape", "root ::= \"\\q\"", "GRAMMAR_INVALID", "unknown escape"},
        Mistake{"ShortEscape", "root ::= \"\\x4\"", "GRAMMAR_INVALID", "needs 2 hex digits"},
        Mistake{"Surrogate", "root ::= \"\\ud800\"", "GRAMMAR_INVALID", "surrogate"},
        Mistake{"BeyondUnicode", "root ::= \"\\U00110000\"", "GRAMMAR_INVALID", "above U+10FFFF"},
        Mistake{"NothingToRepeat", "root ::= * \"a\"", "GRAMMAR_INVALID",
                "needs something before it"},
        Mistake{"BadCounts", "root ::= \"a\"{3,2}", "GRAMMAR_INVALID", "at least 3 and at most 2"},
        Mistake{"OpenCounts", "root ::= \"a\"{3", "GRAMMAR_INVALID", "expected '}'"},
        Mistake{"NoCount", "root ::= \"a\"{,3}", "GRAMMAR_INVALID", "expected a number"},
        Mistake{"Token", "root ::= <think> \"a\"", "GRAMMAR_INVALID", "tokens in a grammar"},
        Mistake{"NotUtf8", "root ::= \"\xff\"", "GRAMMAR_INVALID", "not UTF-8"},
        Mistake{"LeftRecursion", "root ::= root \"a\" | \"b\"", "GRAMMAR_INVALID",
                "left-recursive: a rule can begin with itself (root -> root)"},
        Mistake{"IndirectLeftRecursion", "root ::= a\na ::= b \"x\" | \"y\"\nb ::= [0-9]* a",
                "GRAMMAR_INVALID", "(a -> b -> a)"},
        Mistake{"LeftRecursionBehindWhatMayBeEmpty", "root ::= [a-z]* root \"x\" | \"y\"",
                "GRAMMAR_INVALID", "left-recursive"},
        Mistake{"Endless", "root ::= \"a\" root", "GRAMMAR_INVALID", "matches no finite text"},
        Mistake{"OnlyEmpty", "root ::= \"\" x?\nx ::= \"\"", "GRAMMAR_INVALID",
                "only the empty text"},
        Mistake{"HugeCount", "root ::= \"a\"{99999999999}", "GRAMMAR_TOO_COMPLEX",
                "more than 1000000"}),
    [](const auto& tested) { return tested.param.name; });

TEST(GbnfErrorTest, NamesLineAndColumnInItsDetails) {
  const Status status = GbnfStatus("root ::= \"\xc3\xa9\" |\n  \"a\" }");
  const Status::Details expected = {{"line", "2"}, {"column", "7"}};
  EXPECT_EQ(status.details(), expected);
}

TEST(GbnfEndTest, KnowsWhenNothingMayFollow) {
  GrammarReader reader = GrammarReader::OfGbnf("root ::= \"{\" [a-z]* \"}\"");
  EXPECT_TRUE(reader.EndsWith("{abc}"));
  EXPECT_FALSE(reader.EndsWith("{abc"));
  GrammarReader open = GrammarReader::OfGbnf("root ::= [a-z]+");
  EXPECT_TRUE(open.Accepts("abc"));
  EXPECT_FALSE(open.EndsWith("abc"));
}

TEST(GbnfPruneTest, LeavesOutAlternativesThatNeverEnd) {
  GrammarReader reader = GrammarReader::OfGbnf(
      "root ::= \"a\" | \"b\" endless | \"c\" endless?\nendless ::= \"x\" endless");
  EXPECT_TRUE(reader.EndsWith("a"));
  EXPECT_TRUE(reader.EndsWith("c"));
  EXPECT_FALSE(reader.Begins("b"));
  EXPECT_FALSE(reader.Begins("cx"));
}

}  // namespace
}  // namespace forge
