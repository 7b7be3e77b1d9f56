#include "daemon/rpc/unary_call.h"

#include <fmt/format.h>

#include <boost/asio/post.hpp>
#include <chrono>
#include <memory>
#include <optional>

#include "daemon/rpc/call_errors.h"
#include "daemon/rpc/contained_work.h"
#include "daemon/rpc/status_map.h"
#include "kernels/base/mutex.h"

namespace forge {

Status TooManyCalls(std::string_view kind, uint32_t limit) {
  return ResourceExhausted(
             fmt::format("{} {} calls are running, which is the limit; try again shortly", limit,
                         kind))
      .WithReason("TOO_MANY_STREAMS")
      .WithDetail("limit", limit);
}

namespace {

// A unary call that has been admitted. Its response takes memory until the client has read it, so
// it keeps its place until gRPC is done with it, and a client that takes nothing is cut off. Owns
// itself from Start until then. Thread-safe.
class UnaryCall final : public grpc::ServerUnaryReactor,
                        public RegisteredCall,
                        public std::enable_shared_from_this<UnaryCall> {
 public:
  using Clock = std::chrono::steady_clock;

  UnaryCall(ServiceContext& service, grpc::CallbackServerContext& context,
            CallAdmission::Ticket ticket)
      : service_(service), context_(context), ticket_(std::move(ticket)) {}

  void Start(std::function<void(FinishCall finish)> work) {
    const std::shared_ptr<UnaryCall> self = shared_from_this();
    // A call that comes while the daemon drains is answered, too; its connection is cut in the end.
    static_cast<void>(service_.running_calls.Add(self));
    const auto run = [self, work = std::move(work)] {
      const FinishCall finish = [self](const Status& status) { self->End(status); };
      if (self->context_.IsCancelled())
        return finish(Cancelled("the client is gone").WithReason("CLIENT_GONE"));
      work(finish);
    };
    PostContained(service_.workers, run, [self](const Status& status) { self->End(status); });
    self_ = self;  // last: where this throws, gRPC gets another reactor in place of the call
  }

  void OnDone() override {
    const std::shared_ptr<UnaryCall> self = std::move(self_);
    const MutexLock lock(mutex_);
    finish_start_.reset();
    ticket_.reset();
  }

  // The registry's side. What runs is answered.
  void BeginDrain() override {}
  void Abort(const Status& /*status*/) override {}
  void Sweep(Clock::time_point now) override {
    const std::chrono::milliseconds patience = service_.config.limits.stalled_reader_timeout;
    const MutexLock lock(mutex_);
    if (finish_start_ && now - *finish_start_ > patience) context_.TryCancel();
  }

 private:
  void End(const Status& status) {
    grpc::Status end = UntilMemory([&] { return ToGrpc(status); });
    {
      const MutexLock lock(mutex_);
      if (finish_start_) return;  // gRPC threw at the end before, and takes no other
      finish_start_ = Clock::now();
    }
    CountEnd(*service_.metrics, end);
    // Not under the lock, which Sweep waits for: this serialises the response.
    Finish(std::move(end));
  }

  // Constant after construction.
  ServiceContext& service_;
  grpc::CallbackServerContext& context_;  // gRPC's until OnDone

  std::shared_ptr<UnaryCall> self_;  // from Start to OnDone

  Mutex mutex_;
  std::optional<CallAdmission::Ticket> ticket_ FORGE_GUARDED_BY(mutex_);
  std::optional<Clock::time_point> finish_start_ FORGE_GUARDED_BY(mutex_);  // until OnDone
};

grpc::ServerUnaryReactor* StartAdmitted(ServiceContext& service,
                                        grpc::CallbackServerContext* context,
                                        CallAdmission& admission,
                                        std::function<void(FinishCall finish)> work) {
  std::optional<CallAdmission::Ticket> ticket = admission.TryAdmit();
  if (!ticket) {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    const grpc::Status end = ToGrpc(TooManyCalls("unary", admission.limit()));
    CountEnd(*service.metrics, end);
    reactor->Finish(end);
    return reactor;
  }
  const auto call = std::make_shared<UnaryCall>(service, *context, *std::move(ticket));
  call->Start(std::move(work));
  return call.get();
}

}  // namespace

grpc::ServerUnaryReactor* StartOnWorker(ServiceContext& service,
                                        grpc::CallbackServerContext* context,
                                        std::function<void(FinishCall finish)> work) {
  return StartAdmitted(service, context, service.unary_admission, std::move(work));
}

grpc::ServerUnaryReactor* RunOnWorker(ServiceContext& service, grpc::CallbackServerContext* context,
                                      std::function<Status()> work) {
  return RunOnWorker(service, context, service.unary_admission, std::move(work));
}

grpc::ServerUnaryReactor* RunOnWorker(ServiceContext& service, grpc::CallbackServerContext* context,
                                      CallAdmission& admission, std::function<Status()> work) {
  return StartAdmitted(
      service, context, admission,
      [work = std::move(work)](const FinishCall& finish) { finish(Caught(work)); });
}

}  // namespace forge
