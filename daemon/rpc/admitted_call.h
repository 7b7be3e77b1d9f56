#pragma once

#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include "daemon/rpc/call_errors.h"
#include "daemon/rpc/service_context.h"
#include "daemon/rpc/status_map.h"
#include "daemon/rpc/stream_call.h"
#include "daemon/rpc/unary_call.h"

namespace forge {

// A call that only writes, takes one of the places for streams, and is cut off if its client takes
// nothing. Thread-safe.
template <typename Response>
class AdmittedCall : public WritingCall<grpc::ServerWriteReactor<Response>, Response> {
  using Base = WritingCall<grpc::ServerWriteReactor<Response>, Response>;

 public:
  using Clock = typename Base::Clock;

  // gRPC's side.
  void OnClientGone() override {
    Release();
    this->FinishNow(ToGrpc(Cancelled("the client is gone").WithReason("CLIENT_GONE")));
  }
  void OnClosed() override { ticket_.reset(); }

  // The registry's side.
  void Sweep(typename Clock::time_point now) override {
    const std::chrono::milliseconds patience = service_.config.limits.stalled_reader_timeout;
    if (this->IsWriteStuck(now, patience))
      CutOff("limits.stalled_reader_timeout", static_cast<uint64_t>(patience.count()), "ms");
    this->AbandonIfStuck(now, patience);
  }

 protected:
  AdmittedCall(ServiceContext& service, grpc::CallbackServerContext& context,
               CallAdmission::Ticket ticket)
      : Base(service, context), ticket_(std::move(ticket)) {}

  // Lets go of what the call holds of the engine, because it ends; called at least once before.
  virtual void Release() {}

  // Ends the call without what is queued, for a client that does not read.
  void CutOff(std::string_view what, uint64_t limit, std::string_view unit) {
    Release();
    service_.log.info("a client reads too slowly and is cut off ({}, {} {})", what, limit, unit);
    this->FinishNow(ToGrpc(SlowReader(what, limit, unit)));
  }

  using Base::service_;

 private:
  std::optional<CallAdmission::Ticket> ticket_;
};

// Admits and starts a call of type `Call`, or refuses it.
template <typename Call, typename Response, typename Request>
grpc::ServerWriteReactor<Response>* StartAdmitted(ServiceContext& service,
                                                  grpc::CallbackServerContext& context,
                                                  const Request& request) {
  using Reactor = grpc::ServerWriteReactor<Response>;
  std::optional<CallAdmission::Ticket> ticket = service.stream_admission.TryAdmit();
  if (!ticket)
    return new RefusedCall<Reactor>(service,
                                    TooManyCalls("streaming", service.stream_admission.limit()));
  return StartRegistered<Reactor>(
      service, std::make_shared<Call>(service, context, *std::move(ticket), request));
}

}  // namespace forge
