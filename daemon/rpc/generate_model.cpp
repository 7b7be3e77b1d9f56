// How a turn of Generate gets its model.

#include <fmt/format.h>

#include <utility>

#include "daemon/rpc/call_errors.h"
#include "daemon/rpc/generate_call.h"
#include "daemon/rpc/proto_convert.h"

namespace forge {

Result<std::string> GenerateCall::ModelOf(const Turn& turn, uint32_t number) {
  std::string name;
  {
    const MutexLock lock(mutex_);
    if (!IsWaiting(number)) return Cancelled("the turn was cancelled");
    if (session_) {
      if (turn.model().empty() || turn.model() == model_name_) return resident_name_;
      return BadField("turn.model",
                      fmt::format("is '{}', but this conversation is with '{}'; open another "
                                  "stream for another model",
                                  turn.model(), model_name_));
    }
    // Empty where an earlier turn named the model and was cancelled before it was there.
    if (!turn.model().empty()) model_name_ = turn.model();
    name = model_name_;
  }
  if (name.empty()) return BadField("turn.model", "is empty in the first turn");
  if (service_.residency.Find(name)) return name;
  FORGE_ASSIGN_OR_RETURN(const ModelFile file, service_.residency.catalogue().Resolve(name));
  return file.name;
}

// Waits for the end of a load, on behalf of whatever turn of its stream waits for the model then:
// turns that were cancelled leave nothing behind while a load goes on, and nor do streams.
class GenerateCall::TurnLoad final : public LoadListener {
 public:
  TurnLoad(std::weak_ptr<GenerateCall> call, std::string name)
      : call_(std::move(call)), name_(std::move(name)) {}

  void OnProgress(const LoadProgress& progress) override {
    const std::shared_ptr<GenerateCall> call = call_.lock();
    if (call == nullptr) return;
    v1::GenerateResponse response;
    *response.mutable_load_progress() = ProgressToProto(progress);
    // Under the lock, so that none comes after the turn's `finished`.
    const MutexLock lock(call->mutex_);
    // A copy that takes the place of the one before: a message that is assigned to while the memory
    // ends is left with a pointer to what it freed.
    call->loads_[name_] = v1::GenerateResponse(response);
    if (call->AwaitsLoad(name_)) call->SendLatest(std::move(response));
  }
  void OnLoaded(const Result<ModelSnapshot>& result) override {
    const std::shared_ptr<GenerateCall> call = call_.lock();
    if (call == nullptr) return;
    const MutexLock lock(call->mutex_);
    if (call->AwaitsLoad(name_)) {
      // First: where it finds no memory this is called again. The turn waits for the lock.
      call->PostWork(call->n_turns_,
                     [call = call.get(), turn = call->awaiting_, number = call->n_turns_, result] {
                       if (!result.ok()) return call->FailTurn(result.status(), number);
                       call->AcquireModel(result->file.name, turn, number);
                     });
      call->awaiting_ = nullptr;
    }
    call->loads_.erase(name_);
  }

 private:
  const std::weak_ptr<GenerateCall> call_;
  const std::string name_;
};

bool GenerateCall::AwaitsLoad(const std::string& name) const {
  return waits_for_model_ && awaiting_ != nullptr && awaited_load_ == name;
}

void GenerateCall::AcquireModel(const std::string& name, const TurnPtr& turn, uint32_t number) {
  {
    const MutexLock lock(mutex_);
    if (ended_ || !IsWaiting(number)) return;
  }
  const std::optional<ModelSnapshot> known = service_.residency.Find(name);
  const bool is_ready = known && known->state == ModelState::kReady;
  if (!is_ready && MayLoad()) return LoadModel(name, turn, number);
  service_.residency.Acquire(name, [self = Self(), name, turn, number](Result<ModelLease> lease) {
    self->PostWork(number,
                   [call = self.get(), name, turn, number, lease = std::move(lease)]() mutable {
                     call->RunWithLease(name, turn, number, std::move(lease));
                   });
  });
}

void GenerateCall::LoadModel(const std::string& name, const TurnPtr& turn, uint32_t number) {
  const Result<ModelFile> file = service_.residency.catalogue().Resolve(name);
  if (!file.ok()) return FailTurn(file.status(), number);
  Result<LoadRequest> request = LoadRequestFromProto(turn->load_options(), "turn.load_options");
  if (!request.ok()) return FailTurn(request.status(), number);
  request->is_on_demand = request->needs_logits = true;
  auto load = std::make_shared<TurnLoad>(Self(), file->name);
  {
    const MutexLock lock(mutex_);
    if (!IsWaiting(number)) return;
    awaited_load_ = file->name;
    const auto [known, is_new] = loads_.try_emplace(file->name);
    awaiting_ = turn;
    if (!is_new) {
      // Residency tells an earlier turn's listener of the end.
      if (known->second.has_load_progress()) SendLatest(v1::GenerateResponse(known->second));
      return;
    }
  }
  // Without a load nobody would end the wait, of this turn or of one that came after it.
  Contain([&] { service_.residency.Load(*file, *request, load); },
          [&](const Status& status) { load->OnLoaded(status); });
}

bool GenerateCall::MayLoad() {
  const MutexLock lock(mutex_);
  return !session_ && service_.config.residency.load_on_demand;
}

void GenerateCall::RunWithLease(const std::string& name, const TurnPtr& turn, uint32_t number,
                                Result<ModelLease> lease) {
  // It went after it was found, for a model that had waited too long: this turn's turn comes now.
  const bool had_to_go = lease.status().code() == StatusCode::kFailedPrecondition &&
                         lease.status().reason() == "MODEL_NOT_LOADED";
  if (had_to_go && MayLoad()) return AcquireModel(name, turn, number);
  {
    const MutexLock lock(mutex_);
    if (!StopWaiting(number)) return;  // cancelled: the lease goes
  }
  const Status status =
      lease.ok() ? SubmitTurn(*turn, *std::move(lease)) : std::move(lease).status();
  if (!status.ok()) return FailTurn(status, number);
  // By now the turn may have ended, and the next one may even have begun.
  const MutexLock lock(mutex_);
  if (number != n_turns_) return;
  submitted_ = running_;
  if (cancel_wanted_) CancelTurn();  // a cancel that came before the engine had the turn
}

}  // namespace forge
