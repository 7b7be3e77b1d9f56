#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <thread>

#include "engine/runtime/engine.h"
#include "kernels/base/mutex.h"

namespace forge::testing {

// An engine without models: it loads any file, answers with scripted tokens from an executor thread
// of its own, and does on demand what real engines do rarely. Token i of every vocabulary is a
// letter: 'a' + i % 26; text is tokenised by letters. Thread-safe, as Engine demands.
class FakeEngine : public Engine {
 public:
  FakeEngine();
  ~FakeEngine() override;

  // ---- What a test sets
  // Loads of files named `file` ("a.gguf") fail with `status`; an OK status makes them work again.
  void SetLoadFailure(const std::string& file, const Status& status);
  // Inspect of files named `file` fails with `status`.
  void SetInspectFailure(const std::string& file, const Status& status);
  // Loads wait half-way until they are released.
  void HoldLoads();
  void ReleaseLoads();
  // Time between two tokens.
  void SetTokenDelay(std::chrono::microseconds delay);
  // Turns end by themselves after this many tokens.
  void SetAnswerLength(uint32_t n_tokens);
  // The text of every generated token, in place of its letter.
  void SetTokenText(const std::string& text);
  // Submit refuses with this; OK: it works.
  void SetSubmitFailure(const Status& status);
  // Turns that end by themselves end with this.
  void SetTurnFailure(const Status& status);
  // Calls of OnFinished go through `around`, on the executor's thread, which may repeat them; not
  // those of sessions that were closed.
  void SetAroundFinish(std::function<void(const std::function<void()>& finish)> around);
  // Called by those threads, before anything happens.
  void SetBeforeSubmit(std::function<void()> hook);
  void SetBeforeCancel(std::function<void()> hook);
  void SetBeforeInspect(std::function<void()> hook);
  void SetBeforeLoad(std::function<void()> hook);
  void SetBeforeUnload(std::function<void()> hook);
  // GetModel, and Tokenize and TokenText, which ask it, throw std::bad_alloc, as daemon code around
  // a call of the engine may.
  void SetMemoryEnds(bool ends);
  // Of a device, which exists from then on; before there is "cpu" alone, with 1 GiB.
  void SetBudgetBytes(uint64_t bytes, const std::string& device = "cpu");
  void SetProgress(const EngineProgress& progress);

  // ---- What a test looks at
  int n_loads() const;
  int n_inspections() const;
  int n_memory_reads() const;
  size_t n_sessions() const;
  uint32_t n_running() const;
  // Waits up to five seconds for the number of open sessions.
  bool WaitForSessions(size_t n_sessions) const;
  GenerateRequest last_request() const;
  EmbedRequest last_embed_request() const;
  uint64_t reserved_bytes(const std::string& device = "cpu") const;

  // ---- Engine
  Result<ModelFileInfo> Inspect(const std::string& path, const std::string& device,
                                const LoadOptions& options) override;
  Result<ModelReport> Report(const std::string& path, const std::string& device,
                             const LoadOptions& options) override;
  Result<ModelId> Load(const std::string& path, const std::string& device,
                       const LoadOptions& options, const LoadObserver& observer) override;
  Result<uint64_t> Unload(ModelId model) override;
  Result<ModelStatus> GetModel(ModelId model) const override;
  std::vector<ModelStatus> ListModels() const override;
  std::vector<ModelActivity> Activity() const override;
  std::vector<DeviceMemory> Memory() const override;
  EngineProgress Progress() const override;
  Result<std::vector<TokenId>> Tokenize(ModelId model, std::string_view text, bool add_special,
                                        bool parse_special) const override;
  Result<std::string> Detokenize(ModelId model, const std::vector<TokenId>& tokens,
                                 bool render_special) const override;
  Result<std::string> TokenText(ModelId model, TokenId token) const override;
  Result<ChatPrompt> RenderChat(ModelId model, const Conversation& conversation,
                                std::optional<ChatPlace> place) const override;
  Result<SessionId> OpenSession(ModelId model) override;
  void CloseSession(SessionId session) override;
  Status Submit(SessionId session, GenerateRequest request,
                std::shared_ptr<GenerationSink> sink) override;
  Status Score(SessionId session, ScoreRequest request, std::shared_ptr<ScoreSink> sink) override;
  Status Embed(SessionId session, EmbedRequest request,
               std::shared_ptr<EmbeddingSink> sink) override;
  void Cancel(SessionId session) override;

  static constexpr TokenId kBos = 1000;
  // The first token of a prompt that continues a chat.
  static constexpr TokenId kContinuation = 1001;
  static constexpr uint32_t kMaxTopLogprobs = 256;

 private:
  struct Turn {
    GenerateRequest request;
    std::shared_ptr<GenerationSink> sink;
    uint32_t n_done = 0;
    bool cancelled = false;
  };
  // A text being read, one result with each step.
  struct Reading {
    std::shared_ptr<ReadingSink> sink;
    std::function<bool()> deliver_next;  // false once there is no more
    uint32_t n_tokens = 0;
    bool cancelled = false;
  };
  struct Session {
    ModelId model;
    uint32_t context_used = 0;
    std::optional<Turn> turn;
    std::optional<Reading> reading;
  };

  void CallHook(std::function<void()> FakeEngine::*hook) const;
  void RunExecutor();
  // One token for every running turn. Calls sinks without the lock, as the engine does.
  void Step();
  void Emit(SessionId id, const Turn& turn);
  void EndTurn(SessionId id, FinishReason reason, const Status& status);
  // In fake_readings.cpp.
  Status StartReading(SessionId session, Reading reading);
  void StepReadings();
  void EndReading(SessionId id, const Status& status);
  void Finish(const std::function<void()>& finish);
  // What remains of a session that is gone.
  void Orphan(Session& session, const Status& status) FORGE_REQUIRES(mutex_);
  ModelStatus StatusOf(ModelId id, const ModelFileInfo& info) const FORGE_REQUIRES(mutex_);
  static Status Find(const std::map<std::string, Status>& failures, const std::string& path);

  mutable Mutex mutex_;
  mutable CondVar changed_;
  std::map<std::string, Status> load_failures_ FORGE_GUARDED_BY(mutex_);
  std::map<std::string, Status> inspect_failures_ FORGE_GUARDED_BY(mutex_);
  bool loads_held_ FORGE_GUARDED_BY(mutex_) = false;
  std::chrono::microseconds token_delay_ FORGE_GUARDED_BY(mutex_){200};
  uint32_t answer_length_ FORGE_GUARDED_BY(mutex_) = 5;
  std::string token_text_ FORGE_GUARDED_BY(mutex_);
  Status submit_failure_ FORGE_GUARDED_BY(mutex_);
  Status turn_failure_ FORGE_GUARDED_BY(mutex_);
  std::function<void(const std::function<void()>&)> around_finish_ FORGE_GUARDED_BY(mutex_);
  std::function<void()> before_submit_ FORGE_GUARDED_BY(mutex_);
  std::function<void()> before_cancel_ FORGE_GUARDED_BY(mutex_);
  std::function<void()> before_inspect_ FORGE_GUARDED_BY(mutex_);
  std::function<void()> before_load_ FORGE_GUARDED_BY(mutex_);
  std::function<void()> before_unload_ FORGE_GUARDED_BY(mutex_);
  bool memory_ends_ FORGE_GUARDED_BY(mutex_) = false;
  mutable int n_memory_reads_ FORGE_GUARDED_BY(mutex_) = 0;
  std::map<std::string, uint64_t> budgets_ FORGE_GUARDED_BY(mutex_) = {
      {"cpu", uint64_t{1} << 30}};  // in bytes, by device
  EngineProgress progress_ FORGE_GUARDED_BY(mutex_);
  int n_loads_ FORGE_GUARDED_BY(mutex_) = 0;
  int n_inspections_ FORGE_GUARDED_BY(mutex_) = 0;
  uint64_t next_id_ FORGE_GUARDED_BY(mutex_) = 1;
  std::map<ModelId, ModelFileInfo> models_ FORGE_GUARDED_BY(mutex_);
  std::map<SessionId, Session> sessions_ FORGE_GUARDED_BY(mutex_);
  // Turns whose session is gone, and what to tell them; they get their OnFinished from the
  // executor.
  std::deque<std::pair<Turn, Status>> orphans_ FORGE_GUARDED_BY(mutex_);
  std::deque<std::pair<Reading, Status>> orphan_readings_ FORGE_GUARDED_BY(mutex_);
  GenerateRequest last_request_ FORGE_GUARDED_BY(mutex_);
  EmbedRequest last_embed_request_ FORGE_GUARDED_BY(mutex_);
  bool stopping_ FORGE_GUARDED_BY(mutex_) = false;
  std::thread executor_;
};

}  // namespace forge::testing
