#include "engine/grammar/constraint.h"

#include <gmock/gmock.h>

#include <random>
#include <string>
#include <vector>

#include "engine/grammar/constraint_compiler.h"
#include "tests/engine/grammar/grammar_reader.h"
#include "tests/engine/text/vocabulary_builder.h"

namespace forge {
namespace {

using Kind = OutputConstraint::Kind;
using ::testing::ElementsAre;
using testing::GrammarReader;
using ::testing::IsEmpty;
using testing::VocabularyBuilder;

// Two control tokens, one of which ends answers, and words that reach over the ends of JSON's
// parts.
constexpr const char* kWords[] = {"ab",
                                  "abc",
                                  "tru",
                                  "true",
                                  "null",
                                  "{\"",
                                  "\":",
                                  "\",",
                                  "\",\"",
                                  "\"}",
                                  "\"}}",
                                  "],[",
                                  "}]",
                                  "12",
                                  "3.5",
                                  "\n ",
                                  "  ",
                                  "\\\"",
                                  "\\u00",
                                  "\xc3\xa9",
                                  ("\xa9"
                                   "a"),
                                  "\xe4\xb8",
                                  "[["};

std::unique_ptr<Tokenizer> BytePairTokenizer() {
  VocabularyBuilder builder = VocabularyBuilder::BytePairs();
  for (const std::string word : kWords) {
    std::string characters;
    for (const char byte : word)
      characters += testing::ByteLevelCharacter(static_cast<uint8_t>(byte));
    builder.AddToken(characters);
  }
  builder.AddToken("<|start|>", TokenType::kControl);
  const TokenId end = builder.AddToken("<|im_end|>", TokenType::kControl);
  builder.Set("tokenizer.ggml.eos_token_id", testing::Uint32Value(static_cast<uint32_t>(end)));
  return builder.BuildTokenizer();
}

std::unique_ptr<Tokenizer> SentencePieceTokenizer() {
  VocabularyBuilder builder = VocabularyBuilder::SentencePiece();
  builder.AddToken("\xe2\x96\x81");
  builder.AddToken("\xe2\x96\x81true");
  for (const char* word : {"a", "ab", "{\"", "\":", "\"}", "12", ",", "\xc3\xa9"})
    builder.AddToken(word);
  return builder.BuildTokenizer();
}

std::vector<TokenId> EndTokens(const Tokenizer& tokenizer) {
  std::vector<TokenId> ends;
  for (TokenId token = 0; static_cast<size_t>(token) < tokenizer.n_tokens(); ++token)
    if (tokenizer.EndsGeneration(token)) ends.push_back(token);
  return ends;
}

std::vector<TokenId> Allowed(Constraint& constraint) {
  std::vector<TokenId> tokens;
  constraint.AllowedTokens().value()->ForEach(
      [&tokens](size_t token) { tokens.push_back(static_cast<TokenId>(token)); });
  return tokens;
}

// The definition of a mask: every token whose bytes the grammar can read after the text.
std::vector<TokenId> ExpectedTokens(const Tokenizer& tokenizer, GrammarReader& reader,
                                    const std::string& text) {
  std::vector<TokenId> tokens;
  for (TokenId token = 0; static_cast<size_t>(token) < tokenizer.n_tokens(); ++token) {
    const std::string bytes = tokenizer.TokenBytes(token, false);
    const bool is_end = tokenizer.EndsGeneration(token);
    if (is_end ? reader.Accepts(text) : !bytes.empty() && reader.Begins(text + bytes))
      tokens.push_back(token);
  }
  return tokens;
}

constexpr const char* kAnyJson = R"(
root ::= value
value ::= "{" (pair ("," pair)*)? "}" | "[" (value ("," value)*)? "]" | string | [0-9]+ ("." [0-9]+)? | "true" | "null"
pair ::= string ":" value
string ::= "\"" ([^"\\\x00-\x1f] | "\\" (["\\n] | "u" [0-9a-f]{4}))* "\""
)";

const OutputConstraint kConstraints[] = {
    {Kind::kGrammar, kAnyJson},
    {Kind::kGrammar, "root ::= [a-c]{3,9} (\"\xc3\xa9\" | \"\xe4\xb8\xad\")* [^a]"},
    {Kind::kGrammar, "root ::= \"(\" root \")\" | \"(\" root \"]\" | [a-z0-9 ]{2,30}"},
    {Kind::kJsonSchema, "true"},
    {Kind::kJsonSchema,
     R"({"type":"object","properties":{"ab":{"type":"string","maxLength":9},"b":{"type":"array","items":{"type":"integer"}}},"additionalProperties":{"type":"boolean"}})"},
};

class MaskTest : public ::testing::TestWithParam<bool> {
 protected:
  std::unique_ptr<Tokenizer> tokenizer_ =
      GetParam() ? SentencePieceTokenizer() : BytePairTokenizer();
  ConstraintCompiler compiler_{*tokenizer_, tokenizer_->n_tokens() + 5};
};

TEST_P(MaskTest, AllowsExactlyTheTokensThatTheGrammarCanRead) {
  for (const OutputConstraint& source : kConstraints) {
    SCOPED_TRACE(source.text);
    GrammarReader reader(CompileConstraint(source).value());
    std::mt19937_64 random(7);
    for (int walk = 0; walk < 8; ++walk) {
      ConstraintPtr constraint = compiler_.Compile(source, EndTokens(*tokenizer_)).value();
      std::string text;
      for (int step = 0; step < 25 && constraint->CanContinue(); ++step) {
        const std::vector<TokenId> allowed = Allowed(*constraint);
        ASSERT_EQ(allowed, ExpectedTokens(*tokenizer_, reader, text)) << text;
        const TokenId token = allowed[random() % allowed.size()];
        if (tokenizer_->EndsGeneration(token)) continue;
        ASSERT_TRUE(constraint->Accept(token).ok());
        text += tokenizer_->TokenBytes(token, false);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Vocabularies, MaskTest, ::testing::Bool(), [](const auto& tested) {
  return tested.param ? "SentencePiece" : "BytePairs";
});

class ConstraintTest : public ::testing::Test {
 protected:
  ConstraintPtr Compile(const char* grammar) {
    return compiler_.Compile({Kind::kGrammar, grammar}, EndTokens(*tokenizer_)).value();
  }
  TokenId Token(std::string_view text) const { return *tokenizer_->FindToken(text); }

  std::unique_ptr<Tokenizer> tokenizer_ = BytePairTokenizer();
  ConstraintCompiler compiler_{*tokenizer_, tokenizer_->n_tokens()};
};

TEST_F(ConstraintTest, AllowsTheEndOnlyWhereTheTextIsComplete) {
  ConstraintPtr constraint = Compile("root ::= \"ab\" \"a\"?");
  EXPECT_THAT(Allowed(*constraint), ElementsAre(Token("a"), Token("ab")));
  ASSERT_TRUE(constraint->Accept(Token("ab")).ok());
  EXPECT_TRUE(constraint->IsComplete());
  EXPECT_TRUE(constraint->CanContinue());
  EXPECT_THAT(Allowed(*constraint),
              ::testing::UnorderedElementsAre(Token("a"), Token("<|im_end|>")));
  ASSERT_TRUE(constraint->Accept(Token("a")).ok());
  EXPECT_TRUE(constraint->IsComplete());
  EXPECT_FALSE(constraint->CanContinue());
}

TEST_F(ConstraintTest, NeverAllowsControlTokens) {
  ConstraintPtr constraint = Compile("root ::= .*");
  const std::vector<TokenId> allowed = Allowed(*constraint);
  EXPECT_EQ(std::count(allowed.begin(), allowed.end(), Token("<|start|>")), 0);
  EXPECT_EQ(std::count(allowed.begin(), allowed.end(), Token("<|im_end|>")), 1);
}

TEST_F(ConstraintTest, CompletesCharactersThatTokensCut) {
  ConstraintPtr constraint = Compile("root ::= \"\xe4\xb8\xad\" | \"\xc3\xa9\"");
  ASSERT_TRUE(constraint->Accept(Token("\xe4\xb8")).ok());
  EXPECT_THAT(Allowed(*constraint), ElementsAre(Token("\xad")));
  ASSERT_TRUE(constraint->Accept(Token("\xad")).ok());
  EXPECT_FALSE(constraint->CanContinue());
}

TEST_F(ConstraintTest, SaysWhenTheVocabularyCannotGoOn) {
  VocabularyBuilder builder = VocabularyBuilder::SentencePiece();
  builder.Set("tokenizer.ggml.token_type", testing::Int32sValue(std::vector<int32_t>(259, 3)));
  const std::unique_ptr<Tokenizer> silent = builder.BuildTokenizer();
  ConstraintCompiler compiler(*silent, silent->n_tokens());
  ConstraintPtr constraint = compiler.Compile({Kind::kGrammar, "root ::= \"a\""}, {}).value();
  EXPECT_EQ(constraint->AllowedTokens().status().reason(), "GRAMMAR_DEAD_END");
}

TEST_F(ConstraintTest, BeginsAnewWhenItIsUsedAgain) {
  const char* grammar = "root ::= \"a\" \"b\"";
  const Constraint* first = nullptr;
  {
    ConstraintPtr constraint = Compile(grammar);
    first = constraint.get();
    ASSERT_TRUE(constraint->Accept(Token("a")).ok());
  }
  ConstraintPtr again = Compile(grammar);
  EXPECT_EQ(again.get(), first);
  EXPECT_THAT(Allowed(*again), ElementsAre(Token("a"), Token("ab")));
  EXPECT_NE(Compile(grammar).get(), first);  // that one is in use
}

TEST_F(ConstraintTest, ForgetsStatesThatNoTextNeedsAnyMore) {
  ConstraintPtr constraint = Compile("root ::= (\"a\" root \"a\" | \"b\"){0,1}");
  for (int i = 0; i < 450; ++i) {
    ASSERT_TRUE(constraint->Accept(Token("a")).ok()) << i;
    ASSERT_TRUE(constraint->AllowedTokens().ok());
  }
  ASSERT_TRUE(constraint->Accept(Token("b")).ok());
  for (int i = 0; i < 450; ++i) ASSERT_TRUE(constraint->Accept(Token("a")).ok());
  EXPECT_FALSE(constraint->CanContinue());
}

TEST_F(ConstraintTest, EndsWithAnErrorPastTheDepthThatItFollows) {
  ConstraintPtr constraint = Compile("root ::= \"a\" root \"b\" | \"c\"");
  Status status;
  int n = 0;
  for (; status.ok() && n < 100'000; ++n) {
    const auto allowed = constraint->AllowedTokens();
    status = allowed.ok() ? constraint->Accept(Token("a")) : allowed.status();
  }
  EXPECT_LT(n, 2000);
  EXPECT_EQ(status.code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(status.reason(), "GRAMMAR_TOO_COMPLEX");
}

TEST_F(ConstraintTest, CompactionKeepsWhatMayFollow) {
  const Automaton automaton = CompileConstraint({Kind::kGrammar, kAnyJson}).value();
  StackSets sets(automaton);
  const auto read = [&sets](StackSets::SetId set, std::string_view text) {
    for (const char byte : text) set = sets.Next(set, static_cast<uint8_t>(byte));
    return set;
  };
  StackSets::SetId set = read(sets.Start(), R"({"a":[1,{"b":[[)");
  set = sets.Compact(set);
  EXPECT_TRUE(sets.IsComplete(read(set, "]]}]}")));
  EXPECT_EQ(read(set, "]]]"), StackSets::kNothing);
}

}  // namespace
}  // namespace forge
