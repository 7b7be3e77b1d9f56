#include "engine/runtime/forced_drafter.h"

#include <gmock/gmock.h>

#include <span>
#include <string>
#include <vector>

#include "engine/grammar/constraint.h"
#include "tests/engine/runtime/fake_model.h"

namespace forge {
namespace {

using ::testing::ElementsAreArray;
using ::testing::IsEmpty;
using testing::TestTokenizer;
using testing::TestTokens;

using Tokens = std::vector<TokenId>;

class ForcedDrafterTest : public ::testing::Test {
 protected:
  static Automaton Compile(const std::string& gbnf) {
    return CompileConstraint({OutputConstraint::Kind::kGrammar, gbnf}).value();
  }
  static constexpr uint32_t kAll = 1u << 20;

  const Automaton sentence_ = Compile(R"(root ::= "hello world and that is the end" [0-9])");
  const Tokens tokens_ = TestTokens("hello world and that is the end");
};

TEST_F(ForcedDrafterTest, ProposesTheTokenizersTokensOfTheForcedText) {
  ForcedDrafter drafter(TestTokenizer(), sentence_, kAll);
  for (size_t n = 0; n < tokens_.size(); ++n) {
    const std::span<const TokenId> answer = std::span(tokens_).first(n);
    EXPECT_THAT(drafter.Propose(answer, 100).tokens,
                ElementsAreArray(std::span(tokens_).subspan(n)))
        << n;
    EXPECT_THAT(drafter.Propose(answer, 1).tokens, ElementsAreArray({tokens_[n]}));
  }
  EXPECT_THAT(drafter.Propose(tokens_, 100).tokens, IsEmpty()) << "a digit";
  ForcedDrafter small(TestTokenizer(), sentence_, static_cast<uint32_t>(tokens_[0]));
  EXPECT_THAT(small.Propose({}, 100).tokens, IsEmpty()) << "a token that the model has not";
}

TEST_F(ForcedDrafterTest, GoesOnBehindAnAnswerThatIsCutInAnotherWay) {
  ForcedDrafter drafter(TestTokenizer(), sentence_, kAll);
  Tokens answer;
  for (const char letter : std::string("hello wo")) answer.push_back(letter);
  const Draft& draft = drafter.Propose(answer, 100);
  EXPECT_EQ(TestTokenizer().Decode(draft.tokens, false), "rld and that is the end");
}

TEST_F(ForcedDrafterTest, LearnsHowTheModelCutsTheText) {
  const Automaton pairs = Compile(R"(root ::= ("the end" [0-9])+)");
  ForcedDrafter drafter(TestTokenizer(), pairs, kAll);
  const Tokens pair = TestTokens("the end");
  Tokens answer;
  const double inner = drafter.Propose(answer, 9).probabilities.front();
  const double last = drafter.Propose(answer, 9).probabilities.back();
  EXPECT_GT(inner, last);
  // All but the last one is right.
  for (int i = 0; i < 30; ++i) {
    drafter.Propose(answer, 9);
    for (size_t k = 0; k + 1 < pair.size(); ++k) drafter.Learn(pair[k]);
    drafter.Learn('x');
    drafter.Learn('y');  // says nothing
  }
  EXPECT_GT(drafter.Propose(answer, 9).probabilities.front(), 0.98);
  EXPECT_LT(drafter.Propose(answer, 9).probabilities.back(), 0.02);
  EXPECT_GT(drafter.Propose(answer, pair.size() - 1).probabilities.back(), 0.98)
      << "of a draft that is cut short";
  for (int i = 0; i < 30; ++i) {
    drafter.Propose(answer, 9);
    drafter.Learn('x');
  }
  EXPECT_LT(drafter.Propose(answer, 9).probabilities.front(), 0.02);
}

TEST_F(ForcedDrafterTest, CountsTheTokensThatMayCome) {
  ForcedDrafter drafter(TestTokenizer(), sentence_, kAll);
  drafter.Propose(std::span(tokens_).first(1), 4);
  Tokens guess(tokens_.begin() + 1, tokens_.end());
  EXPECT_EQ(drafter.CountPossible(guess), guess.size());
  guess[1] = TestTokens(" of").front();
  EXPECT_EQ(drafter.CountPossible(guess), 1u);
  guess[0] = *TestTokenizer().special().eos;
  EXPECT_EQ(drafter.CountPossible(guess), 0u);
  EXPECT_EQ(drafter.CountPossible({}), 0u);
}

}  // namespace
}  // namespace forge
