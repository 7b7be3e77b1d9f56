#pragma once

#include <boost/asio/post.hpp>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "daemon/rpc/admitted_call.h"
#include "daemon/rpc/contained_work.h"

namespace forge {

// A call that reads texts on sessions of its own and streams what they came to: Embed and Score.
//
// Holds a lease of its model while it reads; one that is not resident is loaded first, by the rules
// of Generate. The sessions are closed, and their slots free, as soon as the client is gone or the
// call ends for any other reason. A client that takes nothing is cut off as in Generate.
// Thread-safe.
template <typename Response>
class ReadingCall : public AdmittedCall<Response> {
  using Base = AdmittedCall<Response>;

 public:
  using Clock = typename Base::Clock;

  // Reads what is asked for; on a worker thread.
  void Start() override {
    this->Own();
    PostWork([this] { FindModel(); });
  }

  // The registry's side. A reading that runs when the daemon drains may end.
  void BeginDrain() override {}
  void Abort(const Status& status) override { Fail(status); }
  void Sweep(typename Clock::time_point now) override {
    if (now > deadline_) Fail(TooSlow(service_.config.limits.generate_deadline));
    Base::Sweep(now);
  }

 protected:
  ReadingCall(ServiceContext& service, grpc::CallbackServerContext& context,
              CallAdmission::Ticket ticket, std::string model, bool needs_logits)
      : Base(service, context, std::move(ticket)),
        model_(std::move(model)),
        needs_logits_(needs_logits),
        deadline_(context.deadline() != std::chrono::system_clock::time_point::max()
                      ? Clock::time_point::max()
                      : Clock::now() + service.config.limits.generate_deadline) {}

  // Hands the first work to the engine; errors end the call.
  virtual Status Submit(const ModelSnapshot& model) = 0;

  // A session that goes with the call. kCancelled if the call has ended.
  Result<SessionId> OpenSession(ModelId model) {
    std::set<SessionId> place{0};  // made before there is a session that could be forgotten
    FORGE_ASSIGN_OR_RETURN(const SessionId session, service_.engine.OpenSession(model));
    {
      const MutexLock lock(mutex_);
      if (!ended_) {
        auto node = place.extract(place.begin());
        node.value() = session;
        sessions_.insert(std::move(node));
        return session;
      }
    }
    UntilMemory([&] { service_.engine.CloseSession(session); });  // the client left meanwhile
    return Cancelled("the client is gone").WithReason("CLIENT_GONE");
  }
  void CloseSession(SessionId session) {
    {
      const MutexLock lock(mutex_);
      if (sessions_.erase(session) == 0) return;
    }
    UntilMemory([&] { service_.engine.CloseSession(session); });
  }

  // Counts what a text came to; on the engine's executor thread.
  void Count(const GenerateUsage& usage) { model_metrics_->Add(usage); }

  // Runs `work` on the writers' thread, where the engine may be called, unless the call has ended:
  // then the engine may still hold a sink when the service is gone.
  void PostUnlessEnded(std::function<void()> work) {
    const MutexLock lock(mutex_);
    if (ended_) return;
    PostContained(service_.writers, std::move(work),
                  [self = Self()](const Status& status) { self->Fail(status); });
  }

  void Succeed() {
    Release();
    this->FinishAfterQueue(grpc::Status::OK);
  }
  // Ends the call: everything queued first, then `status`.
  void Fail(const Status& status) {
    Release();
    service_.log.debug("a reading ends: {}", status.ToString());
    this->FinishAfterQueue(ToGrpc(Unloaded(status, model_, /*had_model=*/false)));
  }
  std::shared_ptr<ReadingCall> Self() {
    return std::static_pointer_cast<ReadingCall>(this->shared_from_this());
  }

  using Base::service_;

 private:
  // Waits for the end of a load; calls that are gone leave nothing behind while it goes on.
  class LoadEnd final : public LoadListener {
   public:
    explicit LoadEnd(std::weak_ptr<ReadingCall> call) : call_(std::move(call)) {}

    void OnProgress(const LoadProgress&) override {}
    void OnLoaded(const Result<ModelSnapshot>& result) override {
      const std::shared_ptr<ReadingCall> call = call_.lock();
      if (call == nullptr) return;
      call->PostWork([call = call.get(), result] {
        if (!result.ok()) return call->Fail(result.status());
        call->AcquireModel(result->file.name);
      });
    }

   private:
    const std::weak_ptr<ReadingCall> call_;
  };

  // Does a part of the call on a worker thread; what it throws fails the call.
  template <typename Work>
  void PostWork(Work work) {
    const MutexLock lock(mutex_);
    if (ended_) return;
    PostContained(service_.workers, std::move(work),
                  [self = Self()](const Status& status) { self->Fail(status); });
  }

  // On a worker thread, like what follows: goes on when the model is there.
  void FindModel() {
    if (model_.empty()) return Fail(BadField("model", "is empty"));
    const Result<ModelSnapshot> model = service_.residency.FindReady(model_);
    if (model.ok()) return AcquireModel(model->file.name);
    if (!service_.config.residency.load_on_demand) return Fail(model.status());
    const Result<ModelFile> file = service_.residency.catalogue().Resolve(model_);
    if (!file.ok()) return Fail(file.status());
    LoadRequest request;
    request.is_on_demand = true;
    request.needs_logits = needs_logits_;
    service_.residency.Load(*file, request, std::make_shared<LoadEnd>(Self()));
  }

  void AcquireModel(const std::string& name) {
    service_.residency.Acquire(name, [self = Self()](Result<ModelLease> lease) {
      self->PostWork([call = self.get(), lease = std::move(lease)]() mutable {
        call->RunWithLease(std::move(lease));
      });
    });
  }

  void RunWithLease(Result<ModelLease> lease) {
    // It went after it was found, for a model that had waited too long: this call's turn comes now.
    const bool had_to_go = lease.status().code() == StatusCode::kFailedPrecondition &&
                           lease.status().reason() == "MODEL_NOT_LOADED";
    if (had_to_go && service_.config.residency.load_on_demand) return FindModel();
    if (!lease.ok()) return Fail(lease.status());
    const ModelSnapshot model = lease->model();
    model_metrics_ = &this->metrics_->ForModel(model.file.name);
    {
      const MutexLock lock(mutex_);
      if (ended_) return;
      lease_ = *std::move(lease);
    }
    const Status status = Submit(model);
    if (!status.ok()) Fail(status);
  }

  void Release() override {
    std::set<SessionId> sessions;
    std::optional<ModelLease> lease;
    {
      const MutexLock lock(mutex_);
      ended_ = true;
      sessions.swap(sessions_);
      lease = std::exchange(lease_, std::nullopt);
    }
    for (const SessionId session : sessions)
      UntilMemory([&] { service_.engine.CloseSession(session); });
  }

  const std::string model_;
  const bool needs_logits_;
  const typename Clock::time_point deadline_;
  ModelMetrics* model_metrics_ = nullptr;  // set before the engine has a text

  Mutex mutex_;
  std::set<SessionId> sessions_ FORGE_GUARDED_BY(mutex_);
  std::optional<ModelLease> lease_ FORGE_GUARDED_BY(mutex_);  // while it reads
  bool ended_ FORGE_GUARDED_BY(mutex_) = false;               // no session may be opened any more
};

}  // namespace forge
