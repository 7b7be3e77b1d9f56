// Conversations of models that do not keep all of a sequence through the whole engine: what a ring
// loses too early, a state that is another's, or a session that was computed again, would show in
// the tokens.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "engine/runtime/engine.h"
#include "kernels/cpu/cpu_device.h"
#include "tests/engine/runtime/collecting_sink.h"
#include "tests/engine/runtime/fake_model.h"
#include "tests/support/temporary_files.h"
#include "tests/support/tiny_model.h"

namespace forge {
namespace {

using testing::Answer;
using testing::TempFile;
using testing::TinyModelOptions;

// One engine with the same model twice: through rings of the smallest size for two sequences, and
// for single prompts that fit one step, for which no ring wraps and no state is kept.
class ConversationEngineTest : public ::testing::TestWithParam<const char*> {
 protected:
  ConversationEngineTest() {
    EngineOptions options;
    options.devices.push_back(CreateCpuDevice({}).value());
    engine_ = Engine::Create(std::move(options)).value();
    const std::string path = file_.path().string();
    tested_ = engine_->Load(path, "", {.max_sequences = 2, .prefill_chunk = 7}, nullptr).value();
    oracle_ = engine_->Load(path, "", {.max_sequences = 1, .prefill_chunk = 512}, nullptr).value();
  }

  static TinyModelOptions Options() {
    const std::string family = GetParam();
    TinyModelOptions options = {.architecture = family,
                                .n_layers = family == "gemma3"           ? 7u
                                            : family == "gemma4"         ? 6u
                                            : family == "nemotron_h_moe" ? 4u
                                                                         : 2u};
    if (family == "mistral") options.window = 20;
    return options;
  }
  static std::vector<TokenId> Prompt(size_t n, size_t salt) {
    std::vector<TokenId> tokens;
    for (size_t i = 0; i < n; ++i)
      tokens.push_back(static_cast<TokenId>((salt * 53 + i * 31 + i * i % 23) % 250));
    return tokens;
  }
  static GenerateRequest Request(std::vector<TokenId> prompt, uint32_t max_tokens) {
    GenerateRequest request = testing::Greedy(std::move(prompt), max_tokens);
    request.ignore_end = true;
    return request;
  }
  std::vector<TokenId> Expected(const std::vector<TokenId>& sequence, uint32_t max_tokens) {
    return testing::Generate(*engine_, oracle_, Request(sequence, max_tokens)).tokens;
  }

  const TempFile file_{testing::MakeTinyModel(Options()).Build()};
  std::unique_ptr<Engine> engine_;
  ModelId tested_ = 0, oracle_ = 0;
};

TEST_P(ConversationEngineTest, LongConversationsContinueThoughOthersTookTheirBlocks) {
  constexpr uint32_t kSessions = 5, kTurns = 4;
  std::vector<SessionId> sessions;
  std::vector<std::vector<TokenId>> sequences(kSessions);
  for (uint32_t i = 0; i < kSessions; ++i)
    sessions.push_back(engine_->OpenSession(tested_).value());
  for (uint32_t turn = 0; turn < kTurns; ++turn) {
    std::vector<std::shared_ptr<testing::CollectingSink>> sinks;
    for (uint32_t i = 0; i < kSessions; ++i) {
      const std::vector<TokenId> prompt = Prompt(11 + 29 * ((turn + i) % 3), turn * 7 + i);
      sequences[i].insert(sequences[i].end(), prompt.begin(), prompt.end());
      sinks.push_back(testing::Submit(*engine_, sessions[i], Request(prompt, 6)));
    }
    for (uint32_t i = 0; i < kSessions; ++i) {
      const Answer answer = sinks[i]->Wait();
      ASSERT_TRUE(answer.status.ok()) << answer.status.ToString();
      EXPECT_EQ(answer.tokens, Expected(sequences[i], 6)) << "turn " << turn << ", session " << i;
      sequences[i].insert(sequences[i].end(), answer.tokens.begin(), answer.tokens.end());
    }
  }
}

TEST_P(ConversationEngineTest, AConversationAloneKeepsWhatItKnowsBetweenTurns) {
  const SessionId session = engine_->OpenSession(tested_).value();
  std::vector<TokenId> sequence;
  for (uint32_t turn = 0; turn < 5; ++turn) {
    const std::vector<TokenId> prompt = Prompt(3 + turn * 17, turn);
    const size_t n_before = sequence.size();
    sequence.insert(sequence.end(), prompt.begin(), prompt.end());
    const Answer answer = testing::Submit(*engine_, session, Request(prompt, 20))->Wait();
    EXPECT_EQ(answer.tokens, Expected(sequence, 20)) << "turn " << turn;
    // The last token of an answer is not in the cache before the next turn.
    EXPECT_EQ(answer.usage.cached_tokens, n_before == 0 ? 0 : n_before - 1);
    sequence.insert(sequence.end(), answer.tokens.begin(), answer.tokens.end());
  }
}

TEST_P(ConversationEngineTest, ACancelledTurnLosesNothing) {
  const SessionId session = engine_->OpenSession(tested_).value();
  std::vector<TokenId> sequence = Prompt(90, 1);
  const auto sink = testing::Submit(*engine_, session, Request(sequence, 0), /*hold_after=*/5);
  sink->WaitForTokens(5);
  engine_->Cancel(session);
  sink->Release();
  const Answer cancelled = sink->Wait();
  EXPECT_EQ(cancelled.reason, FinishReason::kCancelled);
  sequence.insert(sequence.end(), cancelled.tokens.begin(), cancelled.tokens.end());
  const std::vector<TokenId> more = Prompt(13, 2);
  sequence.insert(sequence.end(), more.begin(), more.end());
  const Answer answer = testing::Submit(*engine_, session, Request(more, 8))->Wait();
  EXPECT_EQ(answer.tokens, Expected(sequence, 8));
}

INSTANTIATE_TEST_SUITE_P(Families, ConversationEngineTest,
                         ::testing::Values("gemma2", "gemma3", "gemma4", "granitehybrid", "lfm2",
                                           "mistral", "nemotron_h_moe", "qwen35", "qwen3next"),
                         [](const auto& test) { return std::string(test.param); });

}  // namespace
}  // namespace forge
