#include <atomic>

#include "daemon/rpc/event_convert.h"
#include "daemon/rpc/handlers.h"
#include "daemon/rpc/watch_call.h"

namespace forge {
namespace {

// Sends the events that are kept, then those that come. Thread-safe.
class WatchEventsCall final : public WatchCall<v1::WatchEventsResponse> {
 public:
  WatchEventsCall(ServiceContext& service, grpc::CallbackServerContext& context,
                  CallAdmission::Ticket ticket, const v1::WatchEventsRequest& request)
      : WatchCall(service, context, std::move(ticket)),
        n_kept_(request.newest_count() == 0 ? EventJournal::kMaxKept : request.newest_count()),
        follows_(request.follow()) {}

  void Start() override {
    Own();
    EventJournal& journal = service_.residency.journal();
    if (!follows_) {
      for (const ResidencyEvent& event : journal.Newest(n_kept_)) Tell(event);
      return FinishAfterQueue(grpc::Status::OK);
    }
    // Weak, because the subscription belongs to the call.
    const std::weak_ptr<WritingCall> weak = weak_from_this();
    subscription_ = journal.Subscribe(n_kept_, [weak](const ResidencyEvent& event) {
      if (const auto self = weak.lock()) static_cast<WatchEventsCall&>(*self).TellOrEnd(event);
    });
    catches_up_ = false;
  }

  void OnClosed() override {
    subscription_ = EventJournal::Subscription();
    WatchCall::OnClosed();
  }

 private:
  // With a gap in it the rest would make no sense.
  void TellOrEnd(const ResidencyEvent& event) {
    AbortIfThrown([&] { Tell(event); });
  }
  void Tell(const ResidencyEvent& event) {
    v1::WatchEventsResponse response;
    *response.mutable_event() = EventToProto(event);
    const size_t cost_bytes = sizeof(response) + response.ByteSizeLong();
    // What is kept is bounded, and no reason to cut anybody off.
    if (catches_up_) RaiseBound(cost_bytes);
    if (Send(std::move(response), cost_bytes) == SendResult::kFull)
      CutOff("limits.stream_buffer", service_.config.limits.stream_buffer_bytes, "bytes");
  }

  const size_t n_kept_;
  const bool follows_;
  std::atomic<bool> catches_up_ = true;
  EventJournal::Subscription subscription_;  // set by Start, ended by OnClosed
};

}  // namespace

grpc::ServerWriteReactor<v1::WatchEventsResponse>* HandleWatchEvents(
    ServiceContext& service, grpc::CallbackServerContext* context,
    const v1::WatchEventsRequest* request) {
  return StartAdmitted<WatchEventsCall, v1::WatchEventsResponse>(service, *context, *request);
}

}  // namespace forge
