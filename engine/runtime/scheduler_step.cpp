// What the executor calls of a Scheduler.

#include <algorithm>
#include <exception>
#include <new>
#include <span>
#include <thread>
#include <tuple>
#include <utility>

#include "engine/runtime/draft_choice.h"
#include "engine/runtime/scheduler.h"
#include "kernels/base/check.h"
#include "kernels/base/exceptions.h"

namespace forge {
namespace {

using State = SequenceStatus::State;

// What a step with a prompt's chunk should take, and the chunk below which a prompt takes much
// longer in all. The longer a step, the longer wait those who come during it, and those who decode
// in it.
struct ChunkLimits {
  std::chrono::duration<double> longest_step;
  uint32_t least_chunk;
};
constexpr ChunkLimits kAlone = {std::chrono::milliseconds(500), 128};
constexpr ChunkLimits kBesideOthers = {std::chrono::milliseconds(200), 32};
constexpr uint32_t kChunkStep = 32;  // chunks are multiples of it

template <typename Container>
void EraseValue(Container& container, const Session* session) {
  container.erase(std::remove(container.begin(), container.end(), session), container.end());
}

}  // namespace

template <typename Work>
Status Scheduler::FaultOf(const Work& work) const {
  std::exception_ptr exception;
  try {
    work();
    return Status();
  } catch (const std::bad_alloc&) {
  } catch (...) {
    exception = std::current_exception();
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(1));
  if (exception == nullptr) return no_memory_;
  return UntilMemory([&] { return StatusOf(exception); });
}

void Scheduler::Step() {
  Deliveries deliveries;
  PlannedStep step;
  const Status fault = FaultOf([&] {
    Prepare(step, deliveries);
    Deliver(deliveries);
    if (!step.sessions.empty()) Compute(step, deliveries);
  });
  if (!fault.ok()) {
    MutexLock lock(mutex_);
    MarkFailed(step, fault);  // to be told by the next step
  }
  Deliver(deliveries);
}

void Scheduler::Prepare(PlannedStep& step, Deliveries& deliveries) {
  MutexLock lock(mutex_);
  EndMarked(deliveries);
  AdmitQueued(deliveries);
  step = Compose();
  NoteActivity();
}

void Scheduler::Compute(PlannedStep& step, Deliveries& deliveries) {
  step.batch.goes_on = [this, &step] { return GoesOn(step); };
  const auto start = options_.now();
  const Status status = runner_.Run(step.batch, [&](size_t i, size_t token, const StepRow& row) {
    Session& session = *step.sessions[i];
    const auto position = static_cast<uint32_t>(session.n_computed + token);
    const Status fault = FaultOf([&] { session.task->TakeRow(position, row, session.tokens); });
    if (!fault.ok()) session.failure = fault;
  });
  if (status.code() == StatusCode::kCancelled) {
    // Given up, it leaves every session as it was, but for what recurrent layers remember.
    MutexLock lock(mutex_);
    for (Session* session : step.sessions) ForgetState(*session);
    return;
  }
  NoteDuration(step, options_.now() - start);
  MutexLock lock(mutex_);
  if (status.ok())
    Apply(step, deliveries);
  else
    MarkFailed(step, status, /*all=*/status.code() == StatusCode::kUnavailable);
  EndMarked(deliveries);
  NoteActivity();
}

void Scheduler::Deliver(Deliveries& deliveries) {
  for (size_t i = 0; i < deliveries.size(); ++i) {
    const Delivery& delivery = deliveries[i];
    if (delivery.end) {
      TellEnd(delivery);
    } else if (delivery.lost.ok()) {
      const Status fault = FaultOf(delivery.call);
      if (!fault.ok()) NoteLost(deliveries, i, fault);
    }
  }
  deliveries.clear();
}

// Whoever is not told of the end would wait for ever. A sink that fails for another reason than
// memory would do so each time: it is told once more, of the failure.
void Scheduler::TellEnd(const Delivery& delivery) const {
  Status lost = delivery.lost;
  for (bool is_last = false;;) {
    const Status fault = FaultOf([&] { delivery.end(lost); });
    if (fault.ok()) return;
    if (fault.reason() == no_memory_.reason()) continue;
    if (std::exchange(is_last, true)) return;
    lost = fault;
  }
}

void Scheduler::NoteLost(Deliveries& deliveries, size_t lost, const Status& fault) {
  const SessionId id = deliveries[lost].session;
  for (Delivery& delivery : std::span(deliveries).subspan(lost + 1)) {
    if (delivery.session != id) continue;
    delivery.lost = fault;
    if (delivery.end) return;  // by now the session may have another task
  }
  MutexLock lock(mutex_);
  const auto found = sessions_.find(id);
  if (found != sessions_.end() && found->second->task != nullptr) found->second->failure = fault;
}

void Scheduler::MarkFailed(const PlannedStep& step, const Status& status, bool all) {
  for (Session* session : active_) {
    if (!all && !step.sessions.empty() && session->last_step != n_steps_) continue;
    session->failure = status;
    ForgetState(*session);
  }
  if (!all) return;
  for (Session* session : queue_) session->failure = status;
}

bool Scheduler::GoesOn(const PlannedStep& step) const {
  if (progress_) progress_();
  if (gives_up_) return false;
  MutexLock lock(mutex_);
  return std::any_of(step.sessions.begin(), step.sessions.end(),
                     [](const Session* session) { return !session->cancelled; });
}

void Scheduler::NoteDuration(const PlannedStep& step, std::chrono::duration<double> duration) {
  size_t n_tokens = 0;
  for (const StepSequence& sequence : step.batch.sequences) n_tokens += sequence.tokens.size();
  if (!step.has_prompt) cost_.Note(static_cast<double>(n_tokens), duration.count());
  if (n_tokens < kBesideOthers.least_chunk) return;  // says more about the weights' way from memory
  const double seconds = duration.count() / static_cast<double>(n_tokens);
  seconds_per_token_ = seconds_per_token_ == 0.0 ? seconds : (seconds_per_token_ + seconds) / 2;
}

uint32_t Scheduler::ChunkBeside(size_t n_decoding) const {
  if (options_.is_encoder) return options_.prefill_chunk;
  if (seconds_per_token_ == 0.0) return std::min(options_.prefill_chunk, kAlone.least_chunk);
  const ChunkLimits& limits = n_decoding == 0 ? kAlone : kBesideOthers;
  const double n_tokens = limits.longest_step.count() / seconds_per_token_;
  if (n_tokens >= options_.prefill_chunk) return options_.prefill_chunk;
  const uint32_t chunk = static_cast<uint32_t>(n_tokens) / kChunkStep * kChunkStep;
  return std::min(options_.prefill_chunk, std::max(chunk, limits.least_chunk));
}

void Scheduler::EndAll(const Status& status) {
  for (bool is_over = false; !is_over;) {
    Deliveries deliveries;
    const Status fault = FaultOf([&] {
      MutexLock lock(mutex_);
      ended_ = true;
      MarkFailed({}, status, /*all=*/true);
      EndMarked(deliveries);
      while (!sessions_.empty()) Forget(*sessions_.begin()->second);
      NoteActivity();
    });
    is_over = fault.ok();
    Deliver(deliveries);
  }
}

void Scheduler::EndMarked(Deliveries& deliveries) {
  std::vector<Session*> marked;
  const auto is_marked = [](const Session* session) {
    return session->cancelled || !session->failure.ok();
  };
  std::copy_if(active_.begin(), active_.end(), std::back_inserter(marked), is_marked);
  std::copy_if(queue_.begin(), queue_.end(), std::back_inserter(marked), is_marked);
  for (Session* session : marked) {
    const Status status = session->cancelled ? Status() : session->failure;
    Finish(*session, status, FinishReason::kCancelled, deliveries);
  }
}

void Scheduler::AdmitQueued(Deliveries& deliveries) {
  while (!queue_.empty() && active_.size() < options_.max_sequences) {
    active_.push_back(queue_.front());
    queue_.pop_front();
    Start(*active_.back());
  }
  for (uint32_t position = 0; position < queue_.size(); ++position) {
    Session& session = *queue_[position];
    if (std::exchange(session.told_position, position) == position) continue;
    deliveries.push_back({session.id, [sink = session.task->progress_sink(), position] {
                            sink->OnQueued(position);
                          }});
  }
}

void Scheduler::Start(Session& session) {
  const std::vector<TokenId>& prompt = session.task->prompt();
  if (const std::optional<uint32_t> n_kept = session.task->keep_tokens()) Rewind(session, *n_kept);
  session.tokens.insert(session.tokens.end(), prompt.begin(), prompt.end());
  session.state = State::kPrefill;
  session.last_step = n_steps_;
  Adopt(session);
  session.task->Start(session.n_computed, session.n_pending());
}

bool Scheduler::Adopt(Session& session) {
  if (!options_.shares_prefixes || session.task->is_reading()) return false;
  const uint32_t before = session.n_computed;
  // The last token is computed in any case, for what comes after it.
  const auto wanted = std::span(session.tokens).first(session.n_tokens() - 1);
  session.n_computed = blocks_.Adopt(session.kv, wanted, before);
  return session.n_computed > before;
}

// Forgets all but the first tokens, and what the cache cannot keep of them is computed again.
void Scheduler::Rewind(Session& session, uint32_t n_tokens) {
  session.tokens.resize(n_tokens);
  session.kv.n_searched_tokens = 0;  // as many may come, but others
  if (n_tokens >= session.n_computed) return;
  session.n_computed = blocks_.Truncate(session.kv, n_tokens);
}

Scheduler::PlannedStep Scheduler::Compose() {
  PlannedStep step;
  if (active_.empty()) return step;
  ++n_steps_;
  std::vector<Session*> decoding, prefilling;
  for (Session* session : active_)
    (session->state == State::kDecode ? decoding : prefilling).push_back(session);
  step.has_prompt = !prefilling.empty();
  if (!step.has_prompt) AddDrafts(decoding);
  for (Session* session : decoding) AddToStep(*session, 1 + session->n_drafted, step);
  std::stable_sort(prefilling.begin(), prefilling.end(),
                   [](const Session* a, const Session* b) { return a->last_step < b->last_step; });
  uint32_t budget = ChunkBeside(step.sessions.size());
  for (Session* session : prefilling) {
    if (budget == 0) break;
    if (options_.is_encoder && session->n_pending() > budget) continue;  // goes first next time
    const uint32_t n_before = session->n_computed;
    if (Adopt(*session)) session->task->TakeCached(session->n_computed - n_before);
    const uint32_t n_tokens = std::min(budget, session->n_pending());
    AddToStep(*session, n_tokens, step);
    budget -= n_tokens;
  }
  return step;
}

void Scheduler::AddDrafts(const std::vector<Session*>& decoding) {
  if (options_.max_draft_tokens == 0) return;
  std::vector<Session*> sessions;
  std::vector<const Draft*> drafts;
  for (Session* session : decoding) {
    EnsureBlocks(*session, session->n_tokens());  // before any guess has one
    const Draft* draft = session->task->Propose(session->tokens, options_.max_draft_tokens);
    if (draft == nullptr) continue;
    sessions.push_back(session);
    drafts.push_back(draft);
  }
  const std::vector<size_t> lengths = ChooseDrafts(drafts, options_.max_draft_tokens, cost_);
  for (size_t i = 0; i < sessions.size(); ++i) {
    Session& session = *sessions[i];
    const auto n_drafted = static_cast<uint32_t>(lengths[i]);
    // Nobody loses blocks for a guess.
    if (!blocks_.CanExtend(session.kv, session.n_tokens() + n_drafted)) continue;
    blocks_.Extend(session.kv, session.n_tokens() + n_drafted);
    session.tokens.insert(session.tokens.end(), drafts[i]->tokens.begin(),
                          drafts[i]->tokens.begin() + n_drafted);
    session.n_drafted = n_drafted;
  }
}

void Scheduler::AddToStep(Session& session, uint32_t n_tokens, PlannedStep& step) {
  const uint32_t end = session.n_computed + n_tokens;
  EnsureBlocks(session, end);
  const uint32_t n_kept = KeptTokens(session, end);
  if (n_kept > session.n_computed) MakeRoomForState(session);
  session.last_step = n_steps_;
  step.sessions.push_back(&session);
  step.batch.sequences.push_back(
      {.tokens = std::span(session.tokens).subspan(session.n_computed, n_tokens),
       .first_position = session.n_computed,
       .blocks = session.kv.tables,
       .state = blocks_.BeginStep(session.kv, session.n_computed, n_kept,
                                  session.state == State::kDecode),
       .is_generated = session.state == State::kDecode,
       .wants = session.task->Wants(session.n_computed, end, session.n_tokens()),
       .n_last = 1 + session.n_drafted,
       .n_top = session.task->n_top()});
}

uint32_t Scheduler::KeptTokens(const Session& session, uint32_t end) const {
  if (!options_.shares_prefixes || session.task->is_reading()) return 0;
  // What a chat template puts behind the last message is not in the conversation's next prompt.
  constexpr uint32_t kTemplateEnd = 16;
  const bool ends_prompt = session.state == State::kPrefill && end == session.n_tokens();
  const uint32_t n_tokens = ends_prompt ? end - std::min(end, kTemplateEnd) : end;
  return n_tokens / options_.block_tokens * options_.block_tokens;
}

void Scheduler::ForgetState(Session& session) {
  if (options_.n_state_slots == 0) return;
  blocks_.Release(session.kv);
  session.n_computed = 0;
}

void Scheduler::EnsureBlocks(Session& session, uint32_t n_positions) {
  while (!blocks_.CanExtend(session.kv, n_positions)) EvictOne();
  blocks_.Extend(session.kv, n_positions);
}

bool Scheduler::IsActive(const Session& session) const {
  return session.state == State::kPrefill || session.state == State::kDecode;
}

// Idle sessions go before those whose next turn waits already, and the longest unused first.
void Scheduler::EvictOne() {
  Session* victim = nullptr;
  const auto value = [](const Session& session) {
    return std::tuple(session.state == State::kQueued, session.last_step, session.id);
  };
  for (const auto& [id, session] : sessions_) {
    if (IsActive(*session) || session->kv.empty()) continue;
    if (victim == nullptr || value(*session) < value(*victim)) victim = session.get();
  }
  FORGE_CHECK(victim != nullptr, "running sequences hold more KV blocks than they can use");
  blocks_.Release(victim->kv);
  victim->n_computed = 0;
}

// What an evicted conversation had kept is still found by its next turn, until the slots of that
// are the longest unused: it loses some tokens, where the prompts of others would lose everything.
void Scheduler::MakeRoomForState(const Session& session) {
  const uint32_t n_missing = blocks_.MissingSlots(session.kv);
  if (n_missing == 0) return;
  const auto n_idle = std::count_if(sessions_.begin(), sessions_.end(), [](const auto& entry) {
    return entry.second->state == State::kIdle && entry.second->kv.state >= 0;
  });
  if (n_idle < n_missing) return;
  for (uint32_t i = 0; i < n_missing; ++i) EvictOne();
}

void Scheduler::Apply(const PlannedStep& step, Deliveries& deliveries) {
  // A token that is told is in its sequence: no more than the call itself fails from there on.
  size_t n_calls = 2 * step.sessions.size();
  for (const Session* session : step.sessions) n_calls += session->n_drafted;
  deliveries.reserve(deliveries.size() + n_calls);
  for (size_t i = 0; i < step.sessions.size(); ++i) {
    Session& session = *step.sessions[i];
    const auto n_step = static_cast<uint32_t>(step.batch.sequences[i].tokens.size());
    session.n_computed += n_step - session.n_drafted;
    session.DropDraft();
    std::vector<Task::Outcome> outcomes = session.task->TakeOutcomes(session.n_pending());
    if (options_.shares_prefixes && !session.task->is_reading())
      blocks_.Publish(session.kv, std::span(session.tokens).first(session.n_computed));
    blocks_.EndStep(session.kv);
    if (session.state == State::kPrefill) {
      const uint32_t total = session.task->n_to_compute();
      const uint32_t done = total - session.n_pending();
      deliveries.push_back({session.id, [sink = session.task->progress_sink(), done, total] {
                              sink->OnPromptProgress(done, total);
                            }});
    }
    ApplyOutcomes(session, std::move(outcomes), deliveries);
  }
}

void Scheduler::ApplyOutcomes(Session& session, std::vector<Task::Outcome> outcomes,
                              Deliveries& deliveries) {
  for (size_t i = 0; i < outcomes.size(); ++i) {
    Task::Outcome& outcome = outcomes[i];
    if (i > 0) ++session.n_computed;  // the token before was in the draft
    if (!outcome.status.ok())
      return Finish(session, outcome.status, FinishReason::kCancelled, deliveries);
    if (outcome.token) {
      session.tokens.push_back(*outcome.token);
      session.state = State::kDecode;
      ++session.n_output;
    }
    if (outcome.delivery) deliveries.push_back({session.id, std::move(outcome.delivery)});
    if (outcome.finish) return Finish(session, Status(), *outcome.finish, deliveries);
  }
}

void Scheduler::Finish(Session& session, const Status& status, FinishReason reason,
                       Deliveries& deliveries) {
  deliveries.push_back({.session = session.id,
                        .call = {},
                        .end = session.task->End(status, reason, session.n_tokens())});
  EraseValue(active_, &session);
  EraseValue(queue_, &session);
  session.DropDraft();
  session.task.reset();
  session.state = State::kIdle;
  session.cancelled = false;
  session.failure = Status();
  if (session.closed) Forget(session);
}

}  // namespace forge
