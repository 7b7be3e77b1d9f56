#include <utility>

#include "tests/daemon/fake_engine.h"

// What a test sets of a FakeEngine, and what it looks at.

namespace forge::testing {

void FakeEngine::SetLoadFailure(const std::string& file, const Status& status) {
  const MutexLock lock(mutex_);
  load_failures_[file] = status;
}

void FakeEngine::SetInspectFailure(const std::string& file, const Status& status) {
  const MutexLock lock(mutex_);
  inspect_failures_[file] = status;
}

void FakeEngine::HoldLoads() {
  const MutexLock lock(mutex_);
  loads_held_ = true;
}

void FakeEngine::ReleaseLoads() {
  const MutexLock lock(mutex_);
  loads_held_ = false;
  changed_.NotifyAll();
}

void FakeEngine::SetTokenDelay(std::chrono::microseconds delay) {
  const MutexLock lock(mutex_);
  token_delay_ = delay;
}

void FakeEngine::SetAnswerLength(uint32_t n_tokens) {
  const MutexLock lock(mutex_);
  answer_length_ = n_tokens;
}

void FakeEngine::SetTokenText(const std::string& text) {
  const MutexLock lock(mutex_);
  token_text_ = text;
}

void FakeEngine::SetSubmitFailure(const Status& status) {
  const MutexLock lock(mutex_);
  submit_failure_ = status;
}

void FakeEngine::SetAroundFinish(std::function<void(const std::function<void()>& finish)> around) {
  const MutexLock lock(mutex_);
  around_finish_ = std::move(around);
}

void FakeEngine::SetBeforeSubmit(std::function<void()> hook) {
  const MutexLock lock(mutex_);
  before_submit_ = std::move(hook);
}

void FakeEngine::SetBeforeCancel(std::function<void()> hook) {
  const MutexLock lock(mutex_);
  before_cancel_ = std::move(hook);
}

void FakeEngine::SetBeforeInspect(std::function<void()> hook) {
  const MutexLock lock(mutex_);
  before_inspect_ = std::move(hook);
}

void FakeEngine::SetBeforeLoad(std::function<void()> hook) {
  const MutexLock lock(mutex_);
  before_load_ = std::move(hook);
}

void FakeEngine::SetBeforeUnload(std::function<void()> hook) {
  const MutexLock lock(mutex_);
  before_unload_ = std::move(hook);
}

void FakeEngine::SetMemoryEnds(bool ends) {
  const MutexLock lock(mutex_);
  memory_ends_ = ends;
}

void FakeEngine::SetTurnFailure(const Status& status) {
  const MutexLock lock(mutex_);
  turn_failure_ = status;
}

void FakeEngine::SetBudgetBytes(uint64_t bytes, const std::string& device) {
  const MutexLock lock(mutex_);
  budgets_[device] = bytes;
}

void FakeEngine::SetProgress(const EngineProgress& progress) {
  const MutexLock lock(mutex_);
  progress_ = progress;
}

int FakeEngine::n_memory_reads() const {
  const MutexLock lock(mutex_);
  return n_memory_reads_;
}

int FakeEngine::n_loads() const {
  const MutexLock lock(mutex_);
  return n_loads_;
}

int FakeEngine::n_inspections() const {
  const MutexLock lock(mutex_);
  return n_inspections_;
}

size_t FakeEngine::n_sessions() const {
  const MutexLock lock(mutex_);
  return sessions_.size();
}

uint32_t FakeEngine::n_running() const {
  const MutexLock lock(mutex_);
  uint32_t n_running = 0;
  for (const auto& [id, session] : sessions_) n_running += session.turn || session.reading ? 1 : 0;
  return n_running;
}

bool FakeEngine::WaitForSessions(size_t n_sessions) const {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  const MutexLock lock(mutex_);
  while (sessions_.size() != n_sessions) {
    if (changed_.WaitUntil(mutex_, deadline) == std::cv_status::timeout) {
      return sessions_.size() == n_sessions;
    }
  }
  return true;
}

GenerateRequest FakeEngine::last_request() const {
  const MutexLock lock(mutex_);
  return last_request_;
}

uint64_t FakeEngine::reserved_bytes(const std::string& device) const {
  const MutexLock lock(mutex_);
  uint64_t bytes = 0;
  for (const auto& [id, info] : models_)
    if (info.device == device) bytes += info.total_bytes();
  return bytes;
}

}  // namespace forge::testing
