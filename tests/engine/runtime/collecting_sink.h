#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "engine/runtime/engine.h"

namespace forge::testing {

// What a turn gave.
struct Answer {
  std::vector<TokenEvent> events;
  std::vector<TokenId> tokens;
  std::string text;
  std::vector<uint32_t> positions;
  Status status;
  FinishReason reason = FinishReason::kCancelled;
  GenerateUsage usage;
  int n_finished = 0;
};

// Collects a turn that an engine runs on its own thread. Thread-safe.
class CollectingSink final : public GenerationSink {
 public:
  // hold_after: the engine waits behind that many tokens for Release(), so that a test can act
  // before the turn goes on, however fast the machine is. 0: it does not.
  explicit CollectingSink(size_t hold_after = 0) : hold_after_(hold_after) {}

  void OnQueued(uint32_t position) override;
  void OnPromptProgress(uint32_t tokens_done, uint32_t tokens_total) override;
  void OnToken(TokenEvent event) override;
  void OnFinished(const Status& status, FinishReason reason, std::string trailing_text,
                  const GenerateUsage& usage) override;

  // Blocks until the turn has ended, or until `n` tokens came. Aborts after a minute: a test that
  // hangs tells less.
  Answer Wait();
  void WaitForTokens(size_t n);
  void Release();

 private:
  template <typename Condition>
  void WaitUntil(Condition condition);

  const size_t hold_after_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool is_released_ = false;
  Answer answer_;
};

// Opens a session, runs one turn and closes the session.
Answer Generate(Engine& engine, ModelId model, GenerateRequest request);
// Submits to an open session; the request must be accepted. `hold_after`: as CollectingSink has it.
std::shared_ptr<CollectingSink> Submit(Engine& engine, SessionId session, GenerateRequest request,
                                       size_t hold_after = 0);

}  // namespace forge::testing
