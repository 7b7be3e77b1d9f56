#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/runtime/engine.h"
#include "engine/runtime/kv_blocks.h"
#include "engine/runtime/session.h"
#include "engine/runtime/step_cost.h"
#include "engine/runtime/step_runner.h"
#include "engine/runtime/turn.h"
#include "kernels/base/mutex.h"

namespace forge {

struct SchedulerOptions {
  TurnLimits limits;
  uint32_t max_sequences = 1;
  uint32_t prefill_chunk = 1;  // most prompt tokens in one step
  uint32_t max_queued_turns = 0;
  std::vector<KvGroup> kv_groups;  // each with blocks for max_sequences whole contexts
  uint32_t block_tokens = 1;
  uint32_t n_state_slots = 0;  // as StatePlan has them; 0: no layer is recurrent
  // Whether turns read what others computed of the tokens that they begin with.
  bool shares_prefixes = true;
  // An encoder: only texts are embedded, each in one step. prefill_chunk is context_length then.
  bool is_encoder = false;
  // Most tokens of a step that are guesses; below prefill_chunk. 0: none.
  uint32_t max_draft_tokens = 0;
  std::function<std::chrono::steady_clock::time_point()> now = std::chrono::steady_clock::now;
};

struct SchedulerStatus {
  uint32_t slots_busy = 0;
  uint32_t queued = 0;
  std::vector<SequenceStatus> sequences;  // by session
};

// Decides what each step of one model computes, and keeps the model's sessions.
//
// Up to max_sequences tasks, which are turns or readings, run; further ones wait in order. A step
// takes one token of every sequence that decodes and up to prefill_chunk prompt tokens beside them,
// fewer where those would hold the others up for long, or those who come meanwhile.
// The chunk goes to the prompt that waited longest, what it leaves to the next, so that neither
// streams nor short prompts wait for a long one. Idle sessions keep their KV blocks until a running
// one needs them; then the session unused for longest loses its own and is computed again at its
// next turn.
//
// Where no prompt waits, a step computes guesses of what comes after its tokens beside them, as
// many as are likely to make the answers faster (Drafter). What a turn is told is the same with and
// without: a guess counts if the turn chose the very token.
//
// A turn that begins with the tokens of another sequence reads the full blocks that hold them, be
// that sequence running, idle or gone: where several turns with one beginning wait, what each chunk
// computes serves all. Readings want every row, and share nothing.
//
// A step that fails ends the turns that took part in it, and where the device is gone all of them.
// The same happens where the host's memory ends in a step (kResourceExhausted, reason
// HOST_MEMORY_EXHAUSTED); where it ends for one turn's row or sink, that turn ends.
//
// Thread-safe, but HasWork aside, the methods under "Executor" are called by one thread. Tasks are
// created on any thread and run on that one.
class Scheduler {
 public:
  // `wake`: called when there is work, on any thread, with no lock held. `progress`: called again
  // and again during a step, by the thread that runs it; may be null. Lifetime: the runner and
  // options.limits.tokenizer must outlive it.
  Scheduler(const SchedulerOptions& options, StepRunner& runner, std::function<void()> wake,
            std::function<void()> progress = {});

  // --- Any thread; none blocks on a step.
  // As in Engine. kNotFound (reason MODEL_NOT_LOADED) after EndAll.
  Status Open(SessionId session);
  void Close(SessionId session);
  Status Submit(SessionId session, GenerateRequest request, std::shared_ptr<GenerationSink> sink);
  Status Score(SessionId session, ScoreRequest request, std::shared_ptr<ScoreSink> sink);
  Status Embed(SessionId session, EmbedRequest request, std::shared_ptr<EmbeddingSink> sink);
  void Cancel(SessionId session);
  // The session's sequence. kNotFound (reason SESSION_NOT_FOUND).
  Result<std::vector<TokenId>> Tokens(SessionId session) const;
  SchedulerStatus Snapshot() const;
  // Without the id. Takes no lock.
  ModelActivity activity() const {
    return {.running = n_running_, .waiting = n_waiting_, .kv_usage = kv_usage_};
  }
  bool HasWork() const;
  // EndAll follows: nobody waits for what the running step computes.
  void GiveUpStep() { gives_up_ = true; }

  // --- Executor: all sinks are called from these.
  // Ends what was cancelled, admits what waits, and computes one step.
  void Step();
  // Ends every turn and forgets every session; none can be opened from now on. Waits where the host
  // has no memory to tell the turns with.
  void EndAll(const Status& status);

 private:
  // A call of a sink, collected under the lock and made without it.
  struct Delivery {
    SessionId session;
    std::function<void()> call;
    Task::EndCall end = {};  // in place of `call`: the last one of its task
    Status lost = {};        // why one of its task before this one was lost, if one was
  };
  using Deliveries = std::vector<Delivery>;

  struct PlannedStep {
    StepBatch batch;
    std::vector<Session*> sessions;  // of batch.sequences
    bool has_prompt = false;         // some of them
  };

  // Puts a valid task into the queue.
  Status Enqueue(SessionId session, std::unique_ptr<Task> task);
  Session* Find(SessionId session) const FORGE_REQUIRES(mutex_);
  Status CheckRoom(const Session& session, const Task& task) const FORGE_REQUIRES(mutex_);
  Status CheckQueue() const FORGE_REQUIRES(mutex_);
  bool IsActive(const Session& session) const FORGE_REQUIRES(mutex_);
  // Publishes what activity() says.
  void NoteActivity() FORGE_REQUIRES(mutex_);
  void Forget(Session& session) FORGE_REQUIRES(mutex_);

  void Prepare(PlannedStep& step, Deliveries& deliveries);
  void Compute(PlannedStep& step, Deliveries& deliveries);
  void Deliver(Deliveries& deliveries);
  // Does `work`, and says what it threw. Others may free some memory in the moment that passes.
  template <typename Work>
  Status FaultOf(const Work& work) const;
  void TellEnd(const Delivery& delivery) const;
  // What follows that call for its task is not told either, but that it ended with `fault`.
  void NoteLost(Deliveries& deliveries, size_t lost, const Status& fault);
  // Marks the turns whose state is in doubt once the step failed: those that took part in it, all
  // that run where it was not composed yet, and with `all` those that wait, too.
  void MarkFailed(const PlannedStep& step, const Status& status, bool all = false)
      FORGE_REQUIRES(mutex_);
  // Ends what was cancelled and what is marked.
  void EndMarked(Deliveries& deliveries) FORGE_REQUIRES(mutex_);
  void AdmitQueued(Deliveries& deliveries) FORGE_REQUIRES(mutex_);
  void Start(Session& session) FORGE_REQUIRES(mutex_);
  void Rewind(Session& session, uint32_t n_tokens) FORGE_REQUIRES(mutex_);
  // Takes what others computed of the session's tokens since. False: there was nothing.
  bool Adopt(Session& session) FORGE_REQUIRES(mutex_);
  PlannedStep Compose() FORGE_REQUIRES(mutex_);
  // Puts guesses behind the tokens of sessions that decode, in a step without a prompt.
  void AddDrafts(const std::vector<Session*>& decoding) FORGE_REQUIRES(mutex_);
  // Most prompt tokens in a step.
  uint32_t ChunkBeside(size_t n_decoding) const FORGE_REQUIRES(mutex_);
  // Whether somebody waits for what the step computes.
  bool GoesOn(const PlannedStep& step) const;
  void NoteDuration(const PlannedStep& step, std::chrono::duration<double> duration);
  void AddToStep(Session& session, uint32_t n_tokens, PlannedStep& step) FORGE_REQUIRES(mutex_);
  void EnsureBlocks(Session& session, uint32_t n_positions) FORGE_REQUIRES(mutex_);
  // Takes the blocks of the session that has been unused for longest.
  void EvictOne() FORGE_REQUIRES(mutex_);
  // Evicts idle sessions where that lets the step keep a state of `session`.
  void MakeRoomForState(const Session& session) FORGE_REQUIRES(mutex_);
  // Forgets what is computed of the session where a step that did not succeed may have changed it.
  void ForgetState(Session& session) FORGE_REQUIRES(mutex_);
  // After how many tokens recurrent layers keep their state for others, in a step up to `end`.
  uint32_t KeptTokens(const Session& session, uint32_t end) const FORGE_REQUIRES(mutex_);
  // After a step that succeeded.
  void Apply(const PlannedStep& step, Deliveries& deliveries) FORGE_REQUIRES(mutex_);
  void ApplyOutcomes(Session& session, std::vector<Task::Outcome> outcomes, Deliveries& deliveries)
      FORGE_REQUIRES(mutex_);
  void Finish(Session& session, const Status& status, FinishReason reason, Deliveries& deliveries)
      FORGE_REQUIRES(mutex_);

  // Constant after construction.
  const SchedulerOptions options_;
  StepRunner& runner_;
  const std::function<void()> wake_;
  const std::function<void()> progress_;
  const Status no_memory_;  // made while there is some

  ConstraintCompiler constraints_;  // before the turns, which give theirs back
  mutable Mutex mutex_;
  std::unordered_map<SessionId, std::unique_ptr<Session>> sessions_ FORGE_GUARDED_BY(mutex_);
  std::deque<Session*> queue_ FORGE_GUARDED_BY(mutex_);
  std::vector<Session*> active_ FORGE_GUARDED_BY(mutex_);  // in order of admission
  KvBlocks blocks_ FORGE_GUARDED_BY(mutex_);
  uint64_t n_steps_ FORGE_GUARDED_BY(mutex_) = 0;
  bool ended_ FORGE_GUARDED_BY(mutex_) = false;
  std::atomic<bool> gives_up_ = false;
  // Of activity(); written under mutex_.
  std::atomic<uint32_t> n_running_ = 0, n_waiting_ = 0;
  std::atomic<double> kv_usage_ = 0.0;

  // The executor's: what a prompt token costs in a step, as lately measured; 0 before that.
  double seconds_per_token_ = 0.0;
  StepCost cost_;  // of steps without a prompt
};

}  // namespace forge
