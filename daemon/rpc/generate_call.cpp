#include "daemon/rpc/generate_call.h"

#include <fmt/format.h>

#include <random>
#include <utility>

#include "daemon/rpc/call_errors.h"
#include "daemon/rpc/proto_convert.h"
#include "daemon/rpc/status_map.h"
#include "daemon/text/utf8.h"

namespace forge {
namespace {

uint64_t DrawSeed() {
  std::random_device device;
  return (uint64_t{device()} << 32) | device();
}

// What a queued message takes, near enough for a bound. That a turn has finished is counted too:
// turns that are cancelled as they come have nothing else.
constexpr size_t kFinishedBytes =
    sizeof(v1::GenerateResponse) + sizeof(v1::GenerateResponse::Finished);

size_t CostBytes(const TokenEvent& event) {
  return sizeof(v1::GenerateResponse) + sizeof(v1::GenerateResponse::Token) + event.text.size() +
         event.top_logprobs.size() * sizeof(v1::TokenLogprob);
}

}  // namespace

GenerateCall::GenerateCall(ServiceContext& service, grpc::CallbackServerContext& context,
                           CallAdmission::Ticket ticket)
    : GenerateStream(service, context),
      has_client_deadline_(context.deadline() != std::chrono::system_clock::time_point::max()),
      ticket_(std::move(ticket)) {}

// ---- gRPC's side

void GenerateCall::OnRead(bool ok) {
  if (ok) {
    if (request().has_turn()) return OnTurn(std::move(*request().mutable_turn()));
    if (!request().has_cancel()) return Fail(BadField("request", "must be turn or cancel"));
    OnCancelRequest();
    return ReadNext();
  }
  if (was_malformed()) return Fail(MalformedRequest(request().GetTypeName()));
  // The client sends no more turns: the running one completes.
  {
    const MutexLock lock(mutex_);
    half_closed_ = true;
    if (running_) return;
  }
  CloseSession();
  FinishAfterQueue(grpc::Status::OK);
}

void GenerateCall::OnClientGone() {
  meter_.End(TurnOutcome::kCancelled);
  CloseSession();
  FinishNow(ToGrpc(Cancelled("the client is gone").WithReason("CLIENT_GONE")));
}

void GenerateCall::OnTurn(Turn turn) {
  {
    const MutexLock lock(mutex_);
    if (running_) {
      waiting_turn_ = std::move(turn);
      return;
    }
  }
  StartTurn(std::move(turn));
}

void GenerateCall::OnCancelRequest() {
  {
    const MutexLock lock(mutex_);
    if (!running_) return;
    cancel_wanted_ = true;
    if (!StopWaiting(n_turns_)) return CancelTurn();
    cancelled_turn_ = n_turns_;
    awaiting_.reset();
  }
  // The engine does not know the turn yet. The load goes on: it belongs to the server.
  meter_.End(TurnOutcome::kCancelled);
  v1::GenerateResponse response;
  response.mutable_finished()->set_reason(v1::FINISH_REASON_CANCELLED);
  SendCounted(std::move(response), kFinishedBytes);
  EndTurn();
}

void GenerateCall::CancelTurn() {
  if (submitted_ && session_) service_.engine.Cancel(session_->id);
}

bool GenerateCall::StopWaiting(uint32_t number) {
  return IsWaiting(number) && std::exchange(waits_for_model_, false);
}

// ---- Turns

void GenerateCall::StartTurn(Turn turn) {
  bool refused = false;
  uint32_t number = 0;
  {
    const MutexLock lock(mutex_);
    refused = draining_;
    running_ = waits_for_model_ = !refused;
    meter_.Begin();
    number = ++n_turns_;
    submitted_ = false;
    cancel_wanted_ = false;
    tool_calls_.clear();
    trailing_kind_ = TextKind::kContent;
    stop_string_.clear();
    told_finished_ = false;
    turn_deadline_ = has_client_deadline_ ? Clock::time_point::max()
                                          : Clock::now() + service_.config.limits.generate_deadline;
  }
  if (refused) return Fail(ShuttingDown());
  ReadNext();
  PostWork(number, [this, turn = std::make_shared<const Turn>(std::move(turn)), number] {
    RunTurn(turn, number);
  });
}

void GenerateCall::RunTurn(const TurnPtr& turn, uint32_t number) {
  const Result<std::string> name = ModelOf(*turn, number);
  if (!name.ok()) return FailTurn(name.status(), number);
  AcquireModel(*name, turn, number);
}

void GenerateCall::FailTurn(const Status& status, uint32_t number) {
  std::string model;
  bool had_model = false;
  {
    // The turn stays running until the stream ends: a half-close between the two would end it OK.
    const MutexLock lock(mutex_);
    if (number <= cancelled_turn_) return;  // the conversation goes on
    model = model_name_;
    had_model = !resident_name_.empty();
  }
  Fail(Unloaded(status, model, had_model));
}

Status GenerateCall::SubmitTurn(const Turn& turn, ModelLease lease) {
  meter_.UseModel(metrics_->ForModel(lease.model().file.name));
  FORGE_ASSIGN_OR_RETURN(const Session session, SessionOn(lease.model()));
  GenerateRequest request = GenerateRequestFromProto(turn);
  FORGE_TRY(SetPrompt(turn, session, lease.model(), request));
  // What is held to a form from its first token is neither thoughts nor calls, whatever the prompt
  // ends with.
  if (request.constraint && request.chat) request.chat.emplace();
  request.sampling.seed = turn.sampling().has_seed() ? turn.sampling().seed() : DrawSeed();
  {
    const MutexLock lock(mutex_);
    if (ended_) return Cancelled("the client is gone").WithReason("CLIENT_GONE");
    seed_ = request.sampling.seed;
    lease_ = std::move(lease);
    is_first_turn_ = false;
  }
  return service_.engine.Submit(session.id, std::move(request), Self());
}

Result<GenerateCall::Session> GenerateCall::SessionOn(const ModelSnapshot& model) {
  {
    const MutexLock lock(mutex_);
    if (session_) return *session_;
  }
  FORGE_ASSIGN_OR_RETURN(const SessionId id, service_.engine.OpenSession(model.id));
  {
    const MutexLock lock(mutex_);
    if (!ended_) {
      session_ = Session{model.id, id};
      model_ = model.id;
      resident_name_ = model.file.name;
      return *session_;
    }
  }
  UntilMemory([&] { service_.engine.CloseSession(id); });  // the client left meanwhile
  return Cancelled("the client is gone").WithReason("CLIENT_GONE");
}

Status GenerateCall::SetPrompt(const Turn& turn, const Session& session, const ModelSnapshot& model,
                               GenerateRequest& request) {
  bool is_first = false;
  {
    const MutexLock lock(mutex_);
    is_first = is_first_turn_;
    if (!turn.has_chat()) chat_.Forget();
  }
  switch (turn.prompt_case()) {
    case Turn::kText: {
      FORGE_ASSIGN_OR_RETURN(request.prompt,
                             service_.engine.Tokenize(session.model, turn.text().text(),
                                                      is_first && !turn.text().skip_special(),
                                                      turn.text().parse_special()));
      return Status();
    }
    case Turn::kChat:
      return SetChatPrompt(turn.chat(), session, model, is_first, request);
    case Turn::kTokens:
      if (turn.tokens().ids().empty()) return BadField("turn.tokens.ids", "is empty");
      request.prompt.assign(turn.tokens().ids().begin(), turn.tokens().ids().end());
      return Status();
    case Turn::PROMPT_NOT_SET:
      break;
  }
  return BadField("turn.prompt", "is missing: set text, chat or tokens");
}

Status GenerateCall::SetChatPrompt(const v1::ChatMessages& chat, const Session& session,
                                   const ModelSnapshot& model, bool is_first,
                                   GenerateRequest& request) {
  Conversation conversation;
  std::optional<ChatPlace> place;
  {
    const MutexLock lock(mutex_);
    FORGE_ASSIGN_OR_RETURN(conversation, chat_.With(chat, "turn.chat"));
    if (!is_first) place = ChatPlace{session.id, !chat_.is_whole()};
  }
  FORGE_ASSIGN_OR_RETURN(ChatPrompt prompt,
                         RenderChat(service_.engine, model, conversation, place));
  request.prompt = std::move(prompt.tokens);
  request.keep_tokens = prompt.keep_tokens;
  request.chat = prompt.output;
  const MutexLock lock(mutex_);
  chat_.Accept(std::move(conversation));
  return Status();
}

void GenerateCall::EndTurn() {
  std::optional<Turn> next;
  bool half_closed = false;
  {
    const MutexLock lock(mutex_);
    running_ = false;
    submitted_ = false;
    lease_.reset();
    next = std::move(waiting_turn_);
    waiting_turn_.reset();
    half_closed = half_closed_;
    if (ended_ || (!next && !half_closed && !draining_)) return;
  }
  if (next) return StartTurn(*std::move(next));
  CloseSession();
  FinishAfterQueue(half_closed ? grpc::Status::OK : ToGrpc(ShuttingDown()));
}

// ---- The engine's side: no blocking, and no calls into the engine

void GenerateCall::OnQueued(uint32_t position) {
  v1::GenerateResponse response;
  response.mutable_queued()->set_position(position);
  SendLatest(std::move(response));
}

void GenerateCall::OnPromptProgress(uint32_t tokens_done, uint32_t tokens_total) {
  v1::GenerateResponse response;
  response.mutable_prompt_progress()->set_tokens_done(tokens_done);
  response.mutable_prompt_progress()->set_tokens_total(tokens_total);
  SendLatest(std::move(response));
}

void GenerateCall::OnToken(TokenEvent event) {
  meter_.CountToken();
  v1::GenerateResponse response;
  *response.mutable_token() = TokenToProto(event);
  SendCounted(std::move(response), CostBytes(event));
}

void GenerateCall::OnAnswer(ChatAnswer answer, TextKind trailing_kind) {
  const MutexLock lock(mutex_);
  chat_.AddAnswer(answer);
  tool_calls_ = std::move(answer.tool_calls);
  trailing_kind_ = trailing_kind;
}

void GenerateCall::OnStopString(std::string stop_string) {
  const MutexLock lock(mutex_);
  stop_string_ = std::move(stop_string);
}

void GenerateCall::OnFinished(const Status& status, FinishReason reason, std::string trailing_text,
                              const GenerateUsage& usage) {
  meter_.TakeUsage(usage);
  if (!status.ok()) {
    return PostUnlessEnded([status](GenerateCall& call) { call.Fail(status); });
  }
  meter_.End(reason == FinishReason::kCancelled ? TurnOutcome::kCancelled
                                                : TurnOutcome::kCompleted);
  v1::GenerateResponse response;
  auto* finished = response.mutable_finished();
  finished->set_reason(FinishReasonToProto(reason));
  finished->set_text(SanitizeUtf8(trailing_text));
  *finished->mutable_usage() = UsageToProto(usage);
  bool is_told = false;
  {
    // Nothing is taken: where the memory ends below, this is called again.
    const MutexLock lock(mutex_);
    is_told = told_finished_;
    finished->set_seed(seed_);
    finished->set_kind(TextKindToProto(trailing_kind_));
    finished->set_stop_string(SanitizeUtf8(stop_string_));
    for (const ToolCall& call : tool_calls_) *finished->add_tool_calls() = ToolCallToProto(call);
  }
  if (!is_told) {
    SendCounted(std::move(response), kFinishedBytes);
    const MutexLock lock(mutex_);
    told_finished_ = true;
  }
  PostUnlessEnded([](GenerateCall& call) { call.EndTurn(); });
}

void GenerateCall::SendCounted(v1::GenerateResponse response, size_t cost_bytes) {
  if (Send(std::move(response), cost_bytes) != SendResult::kFull) return;
  PostUnlessEnded([](GenerateCall& call) {
    if (!call.has_ended())
      call.CutOff("limits.stream_buffer", call.service_.config.limits.stream_buffer_bytes, "bytes");
  });
}

// Once the stream ended, the engine may still hold this sink when the service is gone already; the
// lock keeps the end from passing between the look and the post.
void GenerateCall::PostUnlessEnded(std::function<void(GenerateCall&)> work) {
  const MutexLock lock(mutex_);
  if (ended_) return;
  PostContained(
      service_.writers, [self = Self(), work = std::move(work)] { work(*self); },
      [self = Self()](const Status& status) { self->Fail(status); });
}

void GenerateCall::Complete(v1::GenerateResponse& response) {
  if (!response.has_token() || response.token().top_logprobs().empty()) return;
  std::optional<ModelId> model;
  {
    const MutexLock lock(mutex_);
    model = model_;
  }
  if (!model) return;
  for (v1::TokenLogprob& alternative : *response.mutable_token()->mutable_top_logprobs()) {
    const Result<std::string> text = service_.engine.TokenText(*model, alternative.token());
    if (text.ok()) alternative.set_text(SanitizeUtf8(*text));
  }
}

// ---- Ends

void GenerateCall::BeginDrain() {
  {
    const MutexLock lock(mutex_);
    draining_ = true;
    if (running_) return;  // EndTurn goes on
  }
  Fail(ShuttingDown());
}

void GenerateCall::Abort(const Status& status) { Fail(status); }

void GenerateCall::Sweep(Clock::time_point now) {
  const Limits& limits = service_.config.limits;
  bool is_late = false;
  {
    const MutexLock lock(mutex_);
    is_late = running_ && now > turn_deadline_;
  }
  if (is_late) {
    Fail(TooSlow(limits.generate_deadline));
  }
  if (IsWriteStuck(now, limits.stalled_reader_timeout)) {
    CutOff("limits.stalled_reader_timeout",
           static_cast<uint64_t>(limits.stalled_reader_timeout.count()), "ms");
  }
  AbandonIfStuck(now, limits.stalled_reader_timeout);
}

void GenerateCall::Fail(const Status& status) {
  meter_.End(status.code() == StatusCode::kCancelled ? TurnOutcome::kCancelled
                                                     : TurnOutcome::kFailed);
  CloseSession();
  service_.log.debug("Generate ends: {}", status.ToString());
  FinishAfterQueue(ToGrpc(status));
}

void GenerateCall::CutOff(std::string_view what, uint64_t limit, std::string_view unit) {
  meter_.End(TurnOutcome::kFailed);
  CloseSession();
  service_.log.info("a client reads too slowly and is cut off ({}, {} {})", what, limit, unit);
  FinishNow(ToGrpc(SlowReader(what, limit, unit)));
}

void GenerateCall::CloseSession() {
  std::optional<Session> session;
  {
    const MutexLock lock(mutex_);
    ended_ = true;
    awaiting_.reset();
    lease_.reset();
    session = std::exchange(session_, std::nullopt);
  }
  if (session) UntilMemory([&] { service_.engine.CloseSession(session->id); });
}

}  // namespace forge
