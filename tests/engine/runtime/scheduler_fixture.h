#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/runtime/scheduler.h"
#include "tests/engine/runtime/fake_model.h"
#include "tests/support/tiny_model.h"

namespace forge::testing {

inline SchedulerOptions SmallOptions() {
  return {.limits = {.tokenizer = &TestTokenizer(),
                     .n_vocab = TinyVocabularySize(TinyVocabulary::kBpe),
                     .context_length = 256},
          .max_sequences = 2,
          .prefill_chunk = 16,
          .max_queued_turns = 4,
          .kv_groups = {{.blocks_per_sequence = 32, .n_blocks = 2 * 32}},
          .block_tokens = 8};
}

// `n` tokens that differ from those of another `salt`.
inline std::vector<TokenId> Prompt(uint32_t n, uint32_t salt = 0) {
  std::vector<TokenId> tokens;
  for (uint32_t i = 0; i < n; ++i)
    tokens.push_back(static_cast<TokenId>((salt * 37 + i * 7) % 250));
  return tokens;
}

inline std::vector<TokenId> Joined(std::vector<TokenId> tokens, const std::vector<TokenId>& more) {
  tokens.insert(tokens.end(), more.begin(), more.end());
  return tokens;
}

// The text of an answer; the fake model's tokens are any bytes.
inline std::string StreamedText(const std::vector<TokenId>& tokens) {
  StreamDecoder decoder(TestTokenizer(), /*skip_leading_space=*/false);
  std::string text;
  for (const TokenId token : tokens) text += decoder.Add(token);
  return text + decoder.Finish();
}

// A scheduler whose steps the test runs one by one.
class SchedulerTest : public ::testing::Test {
 protected:
  explicit SchedulerTest(const SchedulerOptions& options = SmallOptions())
      : options_(options), model_(options), scheduler_(options, model_, [this] { ++n_wakes_; }) {}

  SessionId Open() {
    const SessionId session = ++last_session_;
    EXPECT_TRUE(scheduler_.Open(session).ok());
    return session;
  }
  std::shared_ptr<RecordingSink> Submit(SessionId session, GenerateRequest request) {
    auto sink = std::make_shared<RecordingSink>();
    const Status status = scheduler_.Submit(session, std::move(request), sink);
    EXPECT_TRUE(status.ok()) << status.ToString();
    return sink;
  }
  std::shared_ptr<RecordingSink> Submit(GenerateRequest request) {
    return Submit(Open(), std::move(request));
  }
  Status Refused(SessionId session, GenerateRequest request) {
    auto sink = std::make_shared<RecordingSink>();
    const Status status = scheduler_.Submit(session, std::move(request), sink);
    EXPECT_EQ(sink->n_finished, 0);
    return status;
  }
  void Steps(int n) {
    for (int i = 0; i < n; ++i) scheduler_.Step();
  }
  void RunUntilIdle() {
    for (int i = 0; scheduler_.HasWork(); ++i) {
      ASSERT_LT(i, 10000) << "the scheduler does not come to an end";
      scheduler_.Step();
    }
  }
  std::map<SessionId, SequenceStatus::State> States() const {
    std::map<SessionId, SequenceStatus::State> states;
    for (const SequenceStatus& sequence : scheduler_.Snapshot().sequences)
      states[sequence.session] = sequence.state;
    return states;
  }

  SchedulerOptions options_;
  FakeModel model_;
  int n_wakes_ = 0;
  Scheduler scheduler_;
  SessionId last_session_ = 0;
};

}  // namespace forge::testing
