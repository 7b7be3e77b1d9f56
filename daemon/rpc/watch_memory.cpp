#include <fmt/format.h>

#include <atomic>

#include "daemon/rpc/contained_work.h"
#include "daemon/rpc/handlers.h"
#include "daemon/rpc/proto_convert.h"
#include "daemon/rpc/watch_call.h"

namespace forge {
namespace {

constexpr std::chrono::milliseconds kUsualInterval{1'000};
constexpr std::chrono::milliseconds kLeastInterval{250};
constexpr std::chrono::hours kLongestInterval{1};

// Sends the ledger of every device in turn; a slow client misses those between. Thread-safe.
class WatchMemoryCall final : public WatchCall<v1::WatchMemoryResponse> {
 public:
  WatchMemoryCall(ServiceContext& service, grpc::CallbackServerContext& context,
                  CallAdmission::Ticket ticket, std::chrono::milliseconds interval)
      : WatchCall(service, context, std::move(ticket)), interval_(interval) {}

  void Start() override {
    Own();
    Tell();
  }

  // Called by one thread, several times a second.
  void Sweep(Clock::time_point now) override {
    WatchCall::Sweep(now);
    if (now < next_) return;
    next_ = now + interval_;
    Tell();
  }

 private:
  // One at a time, however long the workers are busy with others. What finds no memory is left out.
  void Tell() {
    if (is_telling_.exchange(true)) return;
    const auto tell = [this, self = shared_from_this()] {
      v1::WatchMemoryResponse response;
      *response.mutable_time() = TimestampToProto(std::chrono::system_clock::now());
      const std::vector<ModelSnapshot> models = service_.residency.List();
      for (const DeviceMemory& device : service_.engine.Memory())
        *response.add_devices() = DeviceMemoryToProto(device, models);
      SendLatest(std::move(response));
      is_telling_ = false;
    };
    const auto leave_out = [this](const Status&) { is_telling_ = false; };
    Contain([&] { PostContained(service_.workers, tell, leave_out); }, leave_out);
  }

  const std::chrono::milliseconds interval_;
  std::atomic<bool> is_telling_ = false;
  Clock::time_point next_ = Clock::now() + interval_;  // touched by Sweep only
};

}  // namespace

grpc::ServerWriteReactor<v1::WatchMemoryResponse>* HandleWatchMemory(
    ServiceContext& service, grpc::CallbackServerContext* context,
    const v1::WatchMemoryRequest* request) {
  std::chrono::milliseconds interval = kUsualInterval;
  if (request->has_interval()) {
    const int64_t seconds = request->interval().seconds();
    const auto most = std::chrono::duration_cast<std::chrono::seconds>(kLongestInterval).count();
    if (seconds >= 0 && seconds <= most)
      interval =
          std::chrono::milliseconds(seconds * 1'000 + request->interval().nanos() / 1'000'000);
    if (seconds < 0 || seconds > most || interval < kLeastInterval || interval > kLongestInterval)
      return new RefusedCall<grpc::ServerWriteReactor<v1::WatchMemoryResponse>>(
          service, BadField("interval", "must be from 250 ms to 1 h"));
  }
  return StartAdmitted<WatchMemoryCall, v1::WatchMemoryResponse>(service, *context, interval);
}

}  // namespace forge
