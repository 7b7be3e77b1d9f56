#pragma once

#include <forge/v1/forge.pb.h>

#include <boost/asio/post.hpp>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "daemon/rpc/chat_conversation.h"
#include "daemon/rpc/contained_work.h"
#include "daemon/rpc/service_context.h"
#include "daemon/rpc/stream_call.h"
#include "daemon/telemetry/turn_meter.h"

namespace forge {

using GenerateStream = StreamCall<v1::GenerateRequest, v1::GenerateResponse>;

// One conversation: the turns of one Generate stream, one after the other on one engine session.
//
// A turn that arrives while another runs waits, and nothing more is read until it started; only the
// running turn can be cancelled. The session is closed, and its slot free, as soon as the client is
// gone or the stream ends for any other reason.
//
// A client that reads slower than its model writes gets `stream_buffer` bytes of patience; past
// them, or when one write waits for `stalled_reader_timeout`, the stream ends with SLOW_READER. The
// executor never waits. Thread-safe.
class GenerateCall final : public GenerateStream, public GenerationSink {
 public:
  GenerateCall(ServiceContext& service, grpc::CallbackServerContext& context,
               CallAdmission::Ticket ticket);

  // gRPC's side.
  void OnRead(bool ok) override;
  void OnClientGone() override;
  void OnClosed() override { ticket_.reset(); }

  // The engine's side, on its executor thread.
  void OnQueued(uint32_t position) override;
  void OnPromptProgress(uint32_t tokens_done, uint32_t tokens_total) override;
  void OnToken(TokenEvent event) override;
  void OnAnswer(ChatAnswer answer, TextKind trailing_kind) override;
  void OnStopString(std::string stop_string) override;
  void OnFinished(const Status& status, FinishReason reason, std::string trailing_text,
                  const GenerateUsage& usage) override;

  // The registry's side.
  void BeginDrain() override;
  void Abort(const Status& status) override;
  void Sweep(Clock::time_point now) override;

 private:
  using Turn = v1::GenerateRequest::Turn;
  using TurnPtr = std::shared_ptr<const Turn>;  // a prompt may be long
  class TurnLoad;
  struct Session {
    ModelId model;
    SessionId id;
  };

  void Complete(v1::GenerateResponse& response) override;

  void OnTurn(Turn turn);
  void OnCancelRequest();
  // Tells the engine, if it has the turn. Under the lock, so that the next turn does not begin
  // before and is cancelled instead.
  void CancelTurn() FORGE_REQUIRES(mutex_);
  void StartTurn(Turn turn);
  // True while turn `number` has neither gone to the engine nor been cancelled.
  bool IsWaiting(uint32_t number) const FORGE_REQUIRES(mutex_) {
    return waits_for_model_ && number == n_turns_;
  }
  // Ends that for one of the two; false if it had ended.
  bool StopWaiting(uint32_t number) FORGE_REQUIRES(mutex_);
  // On a worker thread. A turn takes a lease of its model, which is loaded first where it is not
  // resident, and then goes to the engine.
  void RunTurn(const TurnPtr& turn, uint32_t number);
  // The name of the turn's model in residency, which may not be resident.
  Result<std::string> ModelOf(const Turn& turn, uint32_t number);
  void AcquireModel(const std::string& name, const TurnPtr& turn, uint32_t number);
  void LoadModel(const std::string& name, const TurnPtr& turn, uint32_t number);
  bool AwaitsLoad(const std::string& name) const FORGE_REQUIRES(mutex_);
  void RunWithLease(const std::string& name, const TurnPtr& turn, uint32_t number,
                    Result<ModelLease> lease);
  // Does a part of the turn on a worker thread; what it throws fails the turn.
  template <typename Work>
  void PostWork(uint32_t number, Work work) {
    PostContained(service_.workers, std::move(work), [self = Self(), number](const Status& status) {
      self->FailTurn(status, number);
    });
  }
  // True if a model that is not resident may be loaded for the turn. A conversation whose model
  // went has lost what it was about.
  bool MayLoad();
  Status SubmitTurn(const Turn& turn, ModelLease lease);
  Result<Session> SessionOn(const ModelSnapshot& model);
  // Unless the turn was cancelled before.
  void FailTurn(const Status& status, uint32_t number);
  Status SetPrompt(const Turn& turn, const Session& session, const ModelSnapshot& model,
                   GenerateRequest& request);
  Status SetChatPrompt(const v1::ChatMessages& chat, const Session& session,
                       const ModelSnapshot& model, bool is_first, GenerateRequest& request);
  void EndTurn();

  // Sends what counts as `cost_bytes`; a client for whom that is too much is cut off.
  void SendCounted(v1::GenerateResponse response, size_t cost_bytes);
  // Runs `work` on the writers' thread, where the engine may be called.
  void PostUnlessEnded(std::function<void(GenerateCall&)> work);
  // Ends the stream: everything queued first, then `status`.
  void Fail(const Status& status);
  // Ends the stream without what is queued, for a client that does not read.
  void CutOff(std::string_view what, uint64_t limit, std::string_view unit);
  void CloseSession();
  bool has_ended() {
    const MutexLock lock(mutex_);
    return ended_;
  }
  std::shared_ptr<GenerateCall> Self() {
    return std::static_pointer_cast<GenerateCall>(shared_from_this());
  }

  // Constant after construction.
  const bool has_client_deadline_;

  std::optional<CallAdmission::Ticket> ticket_;
  TurnMeter meter_;

  Mutex mutex_;
  std::string model_name_ FORGE_GUARDED_BY(mutex_);           // of the first turn
  std::string resident_name_ FORGE_GUARDED_BY(mutex_);        // of the session's model
  std::optional<ModelLease> lease_ FORGE_GUARDED_BY(mutex_);  // while a turn runs
  std::optional<Session> session_ FORGE_GUARDED_BY(mutex_);
  std::optional<Turn> waiting_turn_ FORGE_GUARDED_BY(mutex_);
  // The turn that waits for the end of a load, and of which.
  TurnPtr awaiting_ FORGE_GUARDED_BY(mutex_);
  std::string awaited_load_ FORGE_GUARDED_BY(mutex_);
  // Of the loads whose end a TurnLoad waits for: what was told of them last.
  std::map<std::string, v1::GenerateResponse> loads_ FORGE_GUARDED_BY(mutex_);
  ChatConversation chat_ FORGE_GUARDED_BY(mutex_);
  std::vector<ToolCall> tool_calls_ FORGE_GUARDED_BY(mutex_);  // of the turn that ends
  TextKind trailing_kind_ FORGE_GUARDED_BY(mutex_) = TextKind::kContent;
  std::string stop_string_ FORGE_GUARDED_BY(mutex_);
  bool told_finished_ FORGE_GUARDED_BY(mutex_) = false;    // the client, of this turn
  bool running_ FORGE_GUARDED_BY(mutex_) = false;          // from StartTurn to OnFinished
  bool waits_for_model_ FORGE_GUARDED_BY(mutex_) = false;  // see IsWaiting
  bool is_first_turn_ FORGE_GUARDED_BY(mutex_) = true;     // the engine has had none yet
  bool submitted_ FORGE_GUARDED_BY(mutex_) = false;        // the engine has the turn
  bool cancel_wanted_ FORGE_GUARDED_BY(mutex_) = false;
  bool half_closed_ FORGE_GUARDED_BY(mutex_) = false;
  bool draining_ FORGE_GUARDED_BY(mutex_) = false;
  bool ended_ FORGE_GUARDED_BY(mutex_) = false;            // no session may be opened any more
  uint32_t cancelled_turn_ FORGE_GUARDED_BY(mutex_) = 0;   // the last that the engine never had
  uint32_t n_turns_ FORGE_GUARDED_BY(mutex_) = 0;          // started; the running one's number
  std::optional<ModelId> model_ FORGE_GUARDED_BY(mutex_);  // stays when the session is closed
  uint64_t seed_ FORGE_GUARDED_BY(mutex_) = 0;
  Clock::time_point turn_deadline_ FORGE_GUARDED_BY(mutex_);
};

}  // namespace forge
