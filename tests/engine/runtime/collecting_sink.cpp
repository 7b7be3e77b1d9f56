#include "tests/engine/runtime/collecting_sink.h"

#include <chrono>
#include <utility>

#include "kernels/base/check.h"

namespace forge::testing {

template <typename Condition>
void CollectingSink::WaitUntil(Condition condition) {
  std::unique_lock lock(mutex_);
  const bool in_time = changed_.wait_for(lock, std::chrono::minutes(1), condition);
  FORGE_CHECK(in_time, "a turn did not end within a minute");
}

void CollectingSink::OnQueued(uint32_t position) {
  const std::lock_guard lock(mutex_);
  answer_.positions.push_back(position);
}

void CollectingSink::OnPromptProgress(uint32_t, uint32_t) {}

void CollectingSink::OnToken(TokenEvent event) {
  bool is_held = false;
  {
    const std::lock_guard lock(mutex_);
    answer_.tokens.push_back(event.token);
    answer_.text += event.text;
    answer_.events.push_back(std::move(event));
    is_held = answer_.tokens.size() == hold_after_;
  }
  changed_.notify_all();
  if (is_held) WaitUntil([this] { return is_released_; });
}

void CollectingSink::Release() {
  {
    const std::lock_guard lock(mutex_);
    is_released_ = true;
  }
  changed_.notify_all();
}

void CollectingSink::OnFinished(const Status& status, FinishReason reason,
                                std::string trailing_text, const GenerateUsage& usage) {
  {
    const std::lock_guard lock(mutex_);
    answer_.status = status;
    answer_.reason = reason;
    answer_.text += trailing_text;
    answer_.usage = usage;
    ++answer_.n_finished;
  }
  changed_.notify_all();
}

Answer CollectingSink::Wait() {
  WaitUntil([this] { return answer_.n_finished > 0; });
  const std::lock_guard lock(mutex_);
  return answer_;
}

void CollectingSink::WaitForTokens(size_t n) {
  WaitUntil([this, n] { return answer_.tokens.size() >= n || answer_.n_finished > 0; });
}

std::shared_ptr<CollectingSink> Submit(Engine& engine, SessionId session, GenerateRequest request,
                                       size_t hold_after) {
  auto sink = std::make_shared<CollectingSink>(hold_after);
  const Status status = engine.Submit(session, std::move(request), sink);
  FORGE_CHECK(status.ok(), status.ToString());
  return sink;
}

Answer Generate(Engine& engine, ModelId model, GenerateRequest request) {
  const SessionId session = engine.OpenSession(model).value();
  Answer answer = Submit(engine, session, std::move(request))->Wait();
  engine.CloseSession(session);
  return answer;
}

}  // namespace forge::testing
