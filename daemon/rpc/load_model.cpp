#include <fmt/format.h>

#include "daemon/rpc/call_errors.h"
#include "daemon/rpc/handlers.h"
#include "daemon/rpc/proto_convert.h"
#include "daemon/rpc/status_map.h"
#include "daemon/rpc/stream_call.h"
#include "daemon/rpc/unary_call.h"

namespace forge {
namespace {

using LoadModelStream = StreamCall<v1::LoadModelRequest, v1::LoadModelResponse>;

// kDeadlineExceeded, reason START_TOO_SLOW.
Status StartTooSlow(std::chrono::milliseconds limit) {
  return Status(StatusCode::kDeadlineExceeded,
                fmt::format("no start message came within limits.stalled_reader_timeout, {} ms; "
                            "send start as the first message",
                            limit.count()))
      .WithReason("START_TOO_SLOW")
      .WithDetail("limitMs", static_cast<uint64_t>(limit.count()));
}

// One client that waits for a load. A client that sends no start, or takes nothing, for
// `stalled_reader_timeout` is cut off: it holds a place for streams. Thread-safe.
class LoadModelCall final : public LoadModelStream, public LoadListener {
 public:
  LoadModelCall(ServiceContext& service, grpc::CallbackServerContext& context,
                CallAdmission::Ticket ticket)
      : LoadModelStream(service, context), ticket_(std::move(ticket)) {}

  void OnRead(bool ok) override {
    if (!ok && was_malformed()) return Fail(MalformedRequest(request().GetTypeName()));
    if (!ok) {
      // The client sends no more. A load that has started goes on.
      if (!is_started())
        Fail(InvalidArgument("the stream ended before its start message")
                 .WithReason("INVALID_REQUEST")
                 .WithDetail("field", "start"));
      return;
    }
    const bool started = is_started();
    if (request().has_start() && !started) {
      {
        const MutexLock lock(mutex_);
        started_ = true;
      }
      PostWork([this, start = request().start()] { StartLoad(start); });
    } else if (request().has_cancel() && started) {
      RequestCancel();
    } else {
      return Fail(InvalidArgument(started ? "after start, only cancel may follow"
                                          : "the first message must be start")
                      .WithReason("INVALID_REQUEST")
                      .WithDetail("field", "request"));
    }
    ReadNext();
  }

  // The load belongs to the server, so it goes on without this client.
  void OnClientGone() override {
    FinishNow(ToGrpc(Cancelled("the client is gone").WithReason("CLIENT_GONE")));
  }
  void OnClosed() override { ticket_.reset(); }

  void OnProgress(const LoadProgress& progress) override {
    v1::LoadModelResponse response;
    *response.mutable_progress() = ProgressToProto(progress);
    SendLatest(std::move(response));
  }

  void OnLoaded(const Result<ModelSnapshot>& result) override {
    if (!result.ok()) return Fail(result.status());
    // The engine may not be asked on the strand: it could be waiting for a step.
    PostWork([this, model = *result] {
      const Result<ModelStatus> status = service_.engine.GetModel(model.id);
      v1::LoadModelResponse response;
      *response.mutable_ready() =
          ModelToProto(model, status.ok() ? std::optional<ModelStatus>(*status) : std::nullopt);
      Send(std::move(response), /*cost_bytes=*/0);
      FinishAfterQueue(grpc::Status::OK);
    });
  }

  // The registry's side. Residency ends the loads themselves.
  void BeginDrain() override {
    if (!is_started()) Fail(ShuttingDown());
  }
  void Abort(const Status& status) override { Fail(status); }
  void Sweep(Clock::time_point now) override {
    const std::chrono::milliseconds patience = service_.config.limits.stalled_reader_timeout;
    if (!is_started() && now - open_time_ > patience) Fail(StartTooSlow(patience));
    if (IsWriteStuck(now, patience)) {
      constexpr std::string_view kBound = "limits.stalled_reader_timeout";
      service_.log.info("a client of LoadModel takes nothing and is cut off ({}, {} ms)", kBound,
                        patience.count());
      FinishNow(ToGrpc(SlowReader(kBound, static_cast<uint64_t>(patience.count()), "ms")));
    }
    AbandonIfStuck(now, patience);
  }

 private:
  bool is_started() {
    const MutexLock lock(mutex_);
    return started_;
  }

  void StartLoad(const v1::LoadModelRequest::Start& start) {
    Result<LoadRequest> options = LoadRequestFromProto(start.options());
    if (!options.ok()) return Fail(options.status());
    if (start.has_residency()) {
      const Status added = AddResidencyOptions(start.residency(), *options);
      if (!added.ok()) return Fail(added);
    }
    const Result<ModelFile> file = FindFile(start.model());
    if (!file.ok()) return Fail(file.status());
    service_.residency.Load(*file, *options,
                            std::static_pointer_cast<LoadModelCall>(shared_from_this()));
    const MutexLock lock(mutex_);
    name_ = file->name;
    if (cancel_wanted_) service_.residency.CancelLoad(name_);
  }

  // A resident model is known by its name even when its file is gone.
  Result<ModelFile> FindFile(const std::string& model) {
    const std::optional<ModelSnapshot> known = service_.residency.Find(model);
    if (known && known->state == ModelState::kReady) return known->file;
    return service_.residency.catalogue().Resolve(model);
  }

  void RequestCancel() {
    const MutexLock lock(mutex_);
    cancel_wanted_ = true;
    if (!name_.empty()) service_.residency.CancelLoad(name_);
  }

  template <typename Work>
  void PostWork(Work work) {
    PostContained(service_.workers, std::move(work),
                  [this, self = shared_from_this()](const Status& status) { Fail(status); });
  }

  void Fail(const Status& status) { FinishAfterQueue(ToGrpc(status)); }

  std::optional<CallAdmission::Ticket> ticket_;
  const Clock::time_point open_time_ = Clock::now();

  Mutex mutex_;
  bool started_ FORGE_GUARDED_BY(mutex_) = false;  // the client has sent start
  std::string name_ FORGE_GUARDED_BY(mutex_);      // once the load is asked for
  bool cancel_wanted_ FORGE_GUARDED_BY(mutex_) = false;
};

}  // namespace

grpc::ServerBidiReactor<v1::LoadModelRequest, v1::LoadModelResponse>* HandleLoadModel(
    ServiceContext& service, grpc::CallbackServerContext* context) {
  using Reactor = grpc::ServerBidiReactor<v1::LoadModelRequest, v1::LoadModelResponse>;
  std::optional<CallAdmission::Ticket> ticket = service.stream_admission.TryAdmit();
  if (!ticket)
    return new RefusedCall<Reactor>(service,
                                    TooManyCalls("streaming", service.stream_admission.limit()));
  return StartRegistered<Reactor>(
      service, std::make_shared<LoadModelCall>(service, *context, *std::move(ticket)));
}

}  // namespace forge
