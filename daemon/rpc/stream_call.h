#pragma once

#include <google/protobuf/unknown_field_set.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include <boost/asio/post.hpp>
#include <chrono>
#include <deque>
#include <memory>
#include <new>
#include <optional>
#include <utility>

#include "daemon/rpc/call_errors.h"
#include "daemon/rpc/call_registry.h"
#include "daemon/rpc/contained_work.h"
#include "daemon/rpc/service_context.h"
#include "daemon/rpc/status_map.h"
#include "kernels/base/mutex.h"

namespace forge {

// The writing side of a call that streams its answer: a bounded queue of messages, one write at a
// time, and exactly one end. `Reactor` is what gRPC calls it by.
//
// Owns itself from Own until gRPC is done with it; others may hold it longer through shared_ptr,
// and what they then send is dropped. Send and Finish never block and never write on the caller's
// thread, so that the engine's executor may call them. gRPC would swallow what its callbacks throw,
// and leave the call without an end: here it aborts the call. Thread-safe.
template <typename Reactor, typename Response>
class WritingCall : public Reactor,
                    public RegisteredCall,
                    public std::enable_shared_from_this<WritingCall<Reactor, Response>> {
 public:
  using Clock = std::chrono::steady_clock;

  // Begins the call; to be called once, when a shared_ptr owns it.
  virtual void Start() = 0;

  void OnDone() final {
    const std::shared_ptr<WritingCall> self = std::move(self_);
    {
      const MutexLock lock(mutex_);
      done_ = true;
    }
    OnClosed();
  }

  void OnWriteDone(bool ok) final {
    {
      const MutexLock lock(mutex_);
      writing_ = false;
      if (!ok) DropQueue();  // the client is gone
    }
    Pump();
    if (ok) AbortIfThrown([this] { OnWritten(); });
  }

  void OnCancel() final {
    AbortIfThrown([this] { OnClientGone(); });
  }

 protected:
  enum class SendResult { kQueued, kClosed, kFull };

  // Lifetime: `context` and `service` are there until OnDone.
  WritingCall(ServiceContext& service, grpc::CallbackServerContext& context)
      : service_(service),
        metrics_(service.metrics),
        context_(context),
        max_queued_bytes_(service.config.limits.stream_buffer_bytes) {}

  // Must be called once, first of all in Start.
  void Own() { self_ = this->shared_from_this(); }

  // Does `work`, what a callback is about.
  template <typename Work>
  void AbortIfThrown(const Work& work) {
    Contain(work, [this](const Status& status) { Abort(status); });
  }

  // Does `start` unless the call is ending, when nothing may be started any more.
  template <typename Start>
  void UnlessFinishing(Start start) {
    const MutexLock lock(mutex_);
    if (!finishing_) start();
  }

  // Lets `bytes` more wait for the client.
  void RaiseBound(size_t bytes) {
    const MutexLock lock(mutex_);
    max_queued_bytes_ += bytes;
  }

  // Queues `message`, which counts as `cost_bytes`. kFull, and nothing is queued from then on, if
  // the queue would pass its bound: what came behind the message that is missing would make no
  // sense. kClosed once the call is ending. Throws std::bad_alloc, and then nothing has changed,
  // the message included.
  SendResult Send(Response&& message, size_t cost_bytes) {
    return Enqueue(message, cost_bytes, /*is_replaceable=*/false);
  }
  // Queues a message about the present state: takes the place of the last one if that is still
  // waiting and was of this kind.
  void SendLatest(Response&& message) {
    Enqueue(message, /*cost_bytes=*/0, /*is_replaceable=*/true);
  }

  // Ends the call with `status` once everything queued is written. The first end counts.
  void FinishAfterQueue(const grpc::Status& status) {
    const MutexLock lock(mutex_);
    if (finishing_ || final_status_) return;
    PostPump();  // first: without memory another end must still count
    final_status_ = status;
  }
  // Drops what is queued and ends the call with `status`.
  void FinishNow(const grpc::Status& status) {
    const MutexLock lock(mutex_);
    DropQueue();
    FinishLocked(status);
  }

  // Ends the connection of a call that cannot end because its client takes no more bytes.
  void AbandonIfStuck(Clock::time_point now, std::chrono::milliseconds patience) {
    const MutexLock lock(mutex_);
    if (finishing_ && !done_ && now - finish_start_ > patience) context_.TryCancel();
  }
  // True if one write has waited longer than `patience` for the client.
  bool IsWriteStuck(Clock::time_point now, std::chrono::milliseconds patience) {
    const MutexLock lock(mutex_);
    return writing_ && !finishing_ && now - write_start_ > patience;
  }

  // Adds to a message what the sender's thread may not look up. Called before it is written, on
  // another thread than Send.
  virtual void Complete(Response& /*message*/) {}
  // The client took one more message.
  virtual void OnWritten() {}
  // The client is there no more, and the call is to end.
  virtual void OnClientGone() = 0;
  // gRPC is done with the call.
  virtual void OnClosed() {}

  // Constant after construction. The metrics may be used when the service is gone, as long as the
  // engine holds the call.
  ServiceContext& service_;
  const std::shared_ptr<Metrics> metrics_;

 private:
  struct Item {
    Response message;
    size_t cost_bytes = 0;
    bool is_replaceable = false;
  };

  SendResult Enqueue(Response& message, size_t cost_bytes, bool is_replaceable) {
    const MutexLock lock(mutex_);
    if (finishing_ || final_status_) return SendResult::kClosed;
    const bool is_too_much = cost_bytes > 0 && queued_bytes_ + cost_bytes > max_queued_bytes_;
    overflowed_ = overflowed_ || is_too_much;
    if (overflowed_) return SendResult::kFull;
    if (is_replaceable && !queue_.empty() && queue_.back().is_replaceable) {
      queue_.back().message = std::move(message);
      return SendResult::kQueued;
    }
    queue_.emplace_back();
    try {
      if (!writing_) PostPump();  // else OnWriteDone goes on
    } catch (const std::bad_alloc&) {
      queue_.pop_back();
      throw;
    }
    queue_.back() = {std::move(message), cost_bytes, is_replaceable};
    queued_bytes_ += cost_bytes;
    return SendResult::kQueued;
  }

  // Posted under the lock: the service is certain to exist only until the call has ended.
  void PostPump() FORGE_REQUIRES(mutex_) {
    const auto abort = [self = this->shared_from_this()](const Status& status) {
      self->Abort(status);
    };
    PostContained(
        service_.writers, [self = this->shared_from_this()] { self->Pump(); }, abort);
  }

  // Writes the next message, or ends the call when there is none and an end is wanted.
  void Pump() {
    {
      const MutexLock lock(mutex_);
      if (finishing_ || writing_) return;
      if (queue_.empty()) {
        if (final_status_) FinishLocked(*std::move(final_status_));
        return;
      }
      response_ = std::move(queue_.front().message);
      queued_bytes_ -= queue_.front().cost_bytes;
      queue_.pop_front();
      writing_ = true;
      write_start_ = Clock::now();
    }
    Contain([this] { Complete(response_); },
            [this](const Status& status) { FinishNow(ToGrpc(status)); });
    const MutexLock lock(mutex_);
    if (!finishing_) this->StartWrite(&response_);
  }

  void DropQueue() FORGE_REQUIRES(mutex_) {
    queue_.clear();
    queued_bytes_ = 0;
  }

  // By value: what could find no memory is over before anything says that the call ends.
  void FinishLocked(grpc::Status status) FORGE_REQUIRES(mutex_) {
    if (finishing_) return;
    finishing_ = true;
    finish_start_ = Clock::now();
    CountEnd(*metrics_, status);
    this->Finish(std::move(status));
  }

  grpc::CallbackServerContext& context_;  // constant after construction

  std::shared_ptr<WritingCall> self_;  // from Own to OnDone
  Response response_;                  // of the write under way

  Mutex mutex_;
  size_t max_queued_bytes_ FORGE_GUARDED_BY(mutex_);
  std::deque<Item> queue_ FORGE_GUARDED_BY(mutex_);
  size_t queued_bytes_ FORGE_GUARDED_BY(mutex_) = 0;
  bool overflowed_ FORGE_GUARDED_BY(mutex_) = false;
  bool writing_ FORGE_GUARDED_BY(mutex_) = false;
  Clock::time_point write_start_ FORGE_GUARDED_BY(mutex_);
  std::optional<grpc::Status> final_status_ FORGE_GUARDED_BY(mutex_);
  bool finishing_ FORGE_GUARDED_BY(mutex_) = false;  // Finish was called: nothing may be started
  Clock::time_point finish_start_ FORGE_GUARDED_BY(mutex_);
  bool done_ FORGE_GUARDED_BY(mutex_) = false;
};

// A bidirectional call: what is read belongs to the derived class.
template <typename Request, typename Response>
class StreamCall : public WritingCall<grpc::ServerBidiReactor<Request, Response>, Response> {
 public:
  void Start() final {
    this->Own();
    Mark();
    this->StartRead(&request_);
  }
  void OnReadDone(bool ok) final {
    this->AbortIfThrown([this, ok] { OnRead(ok); });
  }

 protected:
  using StreamCall::WritingCall::WritingCall;

  // What the client sent is in request(), or it sends no more.
  virtual void OnRead(bool ok) = 0;

  // The message that was read last.
  Request& request() { return request_; }
  void ReadNext() {
    Mark();
    this->UnlessFinishing([this] { this->StartRead(&request_); });
  }
  // After a read that failed: true if bytes came that are no Request. gRPC reports them like the
  // end of the stream, but parsing clears the message first, whatever comes of it.
  bool was_malformed() const {
    const auto& unknown = request_.GetReflection()->GetUnknownFields(request_);
    return unknown.empty() || unknown.field(0).number() != kMark;
  }

 private:
  static constexpr int kMark = 0;  // a field number that no parser accepts

  void Mark() {
    request_.Clear();
    request_.GetReflection()->MutableUnknownFields(&request_)->AddVarint(kMark, 0);
  }

  Request request_;  // of the read under way
};

// A call that is refused before it began. Deletes itself.
template <typename Reactor>
class RefusedCall final : public Reactor {
 public:
  RefusedCall(ServiceContext& service, const Status& status) {
    const grpc::Status end = ToGrpc(status);
    CountEnd(*service.metrics, end);
    this->Finish(end);
  }
  void OnDone() override { delete this; }
};
// Has `call` begin, or refuses it where the daemon stops.
template <typename Reactor, typename Call>
Reactor* StartRegistered(ServiceContext& service, const std::shared_ptr<Call>& call) {
  if (!service.running_calls.Add(call)) return new RefusedCall<Reactor>(service, ShuttingDown());
  Contain([&] { call->Start(); }, [&](const Status& status) { call->Abort(status); });
  return call.get();
}

}  // namespace forge
