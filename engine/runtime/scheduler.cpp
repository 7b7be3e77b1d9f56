#include "engine/runtime/scheduler.h"

#include <algorithm>
#include <utility>

#include "engine/runtime/host_memory.h"
#include "engine/runtime/reading.h"
#include "kernels/base/check.h"

namespace forge {
namespace {

using State = SequenceStatus::State;

Status SessionNotFound(SessionId session) {
  return NotFound("session not found: " + std::to_string(session) +
                  "; it was closed, or its model was unloaded")
      .WithReason("SESSION_NOT_FOUND")
      .WithDetail("session", session);
}

Status EncoderHasNoLogits() {
  return FailedPrecondition(
             "the model is an encoder: it embeds texts (Embed), and neither writes nor scores any")
      .WithReason("MODEL_IS_ENCODER");
}

}  // namespace

Scheduler::Scheduler(const SchedulerOptions& options, StepRunner& runner,
                     std::function<void()> wake, std::function<void()> progress)
    : options_(options),
      runner_(runner),
      wake_(std::move(wake)),
      progress_(std::move(progress)),
      no_memory_(NoHostMemory("to go on with the turn")),
      constraints_(*options.limits.tokenizer, options.limits.n_vocab),
      blocks_(options.kv_groups, options.block_tokens, options.n_state_slots,
              options.max_sequences) {
  for (const KvGroup& group : options.kv_groups)
    FORGE_CHECK(group.n_blocks / options.max_sequences >= group.blocks_per_sequence,
                std::to_string(group.n_blocks) + " KV blocks cannot hold every sequence");
  active_.reserve(options.max_sequences);
}

Status Scheduler::Open(SessionId session) {
  MutexLock lock(mutex_);
  if (ended_) return NotFound("the model was unloaded").WithReason("MODEL_NOT_LOADED");
  auto opened = std::make_unique<Session>();
  opened->id = session;
  const bool is_new = sessions_.try_emplace(session, std::move(opened)).second;
  FORGE_CHECK(is_new, "session " + std::to_string(session) + " is open already");
  return Status();
}

void Scheduler::Close(SessionId id) {
  {
    MutexLock lock(mutex_);
    Session* session = Find(id);
    if (session == nullptr) return;
    if (session->task == nullptr) {
      Forget(*session);
      return NoteActivity();
    }
    session->cancelled = session->closed = true;
  }
  wake_();
}

Status Scheduler::Submit(SessionId id, GenerateRequest request,
                         std::shared_ptr<GenerationSink> sink) {
  if (options_.is_encoder) return EncoderHasNoLogits();
  FORGE_TRY(ValidateRequest(request, options_.limits.n_vocab));
  {
    // A grammar takes its time, which is lost where the queue is full.
    const MutexLock lock(mutex_);
    FORGE_TRY(CheckQueue());
  }
  FORGE_ASSIGN_OR_RETURN(TurnConstraints constraints,
                         CompileConstraints(request, *options_.limits.tokenizer, constraints_));
  return Enqueue(id, std::make_unique<Turn>(options_.limits, std::move(request),
                                            std::move(constraints), std::move(sink)));
}

Status Scheduler::Score(SessionId id, ScoreRequest request, std::shared_ptr<ScoreSink> sink) {
  if (options_.is_encoder) return EncoderHasNoLogits();
  FORGE_TRY(ValidateRequest(request, options_.limits.n_vocab));
  return Enqueue(id, MakeReading(std::move(request), std::move(sink)));
}

Status Scheduler::Embed(SessionId id, EmbedRequest request, std::shared_ptr<EmbeddingSink> sink) {
  FORGE_TRY(ValidateRequest(request, options_.limits.n_vocab));
  return Enqueue(id, MakeReading(std::move(request), std::move(sink)));
}

Status Scheduler::Enqueue(SessionId id, std::unique_ptr<Task> task) {
  {
    MutexLock lock(mutex_);
    Session* session = Find(id);
    if (session == nullptr) return SessionNotFound(id);
    if (session->task != nullptr)
      return FailedPrecondition("session " + std::to_string(id) +
                                " is still generating; wait until its turn has ended")
          .WithReason("SESSION_BUSY")
          .WithDetail("session", id);
    FORGE_TRY(CheckRoom(*session, *task));
    FORGE_TRY(CheckQueue());
    queue_.push_back(session);  // first: it may throw
    session->task = std::move(task);
    session->state = State::kQueued;
    session->n_output = 0;
    session->told_position = Session::kNotTold;
    NoteActivity();
  }
  wake_();
  return Status();
}

Status Scheduler::CheckRoom(const Session& session, const Task& task) const {
  const uint64_t n_prompt = task.prompt().size();
  const uint32_t n_context = options_.limits.context_length;
  if (task.is_reading()) {
    if (session.n_tokens() == 0) return CheckFits(n_prompt, n_context);
    return FailedPrecondition("session " + std::to_string(session.id) +
                              " holds tokens already; read a text in a new one")
        .WithReason("SESSION_BUSY")
        .WithDetail("session", session.id);
  }
  if (task.keep_tokens().value_or(0) > session.n_tokens())
    return InvalidArgument("a turn cannot keep " + std::to_string(*task.keep_tokens()) +
                           " tokens of a session that has " + std::to_string(session.n_tokens()))
        .WithReason("INVALID_REQUEST")
        .WithDetail("field", "keep_tokens");
  const uint32_t n_kept = task.keep_tokens().value_or(session.n_tokens());
  if (n_kept + n_prompt + 1 <= n_context) return Status();
  return OutOfRange("prompt does not fit the context: " + std::to_string(n_prompt) +
                    " prompt tokens, " + std::to_string(n_kept) +
                    " in the session before them and one to generate exceed the " +
                    std::to_string(n_context) + " that the model was loaded with")
      .WithReason("CONTEXT_LENGTH_EXCEEDED")
      .WithDetail("promptTokens", n_prompt)
      .WithDetail("sessionTokens", n_kept)
      .WithDetail("contextTokens", n_context);
}

Status Scheduler::CheckQueue() const {
  // A task that finds a free slot passes through the queue without waiting in it.
  const size_t n_free = options_.max_sequences - active_.size();
  if (queue_.size() < n_free + options_.max_queued_turns) return Status();
  return ResourceExhausted("queue is full: " + std::to_string(queue_.size()) +
                           " turns wait for one of the model's " +
                           std::to_string(options_.max_sequences) + " slots; try again later")
      .WithReason("QUEUE_FULL")
      .WithDetail("queuedTurns", queue_.size())
      .WithDetail("slots", options_.max_sequences);
}

void Scheduler::Cancel(SessionId id) {
  {
    MutexLock lock(mutex_);
    Session* session = Find(id);
    if (session == nullptr || session->task == nullptr) return;
    session->cancelled = true;
  }
  wake_();
}

Result<std::vector<TokenId>> Scheduler::Tokens(SessionId id) const {
  MutexLock lock(mutex_);
  const Session* session = Find(id);
  if (session == nullptr) return SessionNotFound(id);
  return std::vector<TokenId>(session->tokens.begin(),
                              session->tokens.begin() + session->n_tokens());
}

SchedulerStatus Scheduler::Snapshot() const {
  MutexLock lock(mutex_);
  SchedulerStatus status;
  for (const auto& [id, session] : sessions_) {
    if (session->closed) continue;
    const State state = session->cancelled ? State::kIdle : session->state;
    if (state == State::kIdle && session->kv.empty()) continue;
    if (state == State::kPrefill || state == State::kDecode) ++status.slots_busy;
    if (state == State::kQueued) ++status.queued;
    status.sequences.push_back({id, state, session->n_tokens(), session->n_output});
  }
  std::sort(status.sequences.begin(), status.sequences.end(),
            [](const SequenceStatus& a, const SequenceStatus& b) { return a.session < b.session; });
  return status;
}

void Scheduler::NoteActivity() {
  n_running_ = static_cast<uint32_t>(active_.size());
  n_waiting_ = static_cast<uint32_t>(queue_.size());
  kv_usage_ = blocks_.usage();
}

bool Scheduler::HasWork() const {
  MutexLock lock(mutex_);
  return !active_.empty() || !queue_.empty();
}

Session* Scheduler::Find(SessionId session) const {
  const auto found = sessions_.find(session);
  const bool is_open = found != sessions_.end() && !found->second->closed;
  return is_open ? found->second.get() : nullptr;
}

void Scheduler::Forget(Session& session) {
  blocks_.Release(session.kv);
  sessions_.erase(session.id);
}

}  // namespace forge
