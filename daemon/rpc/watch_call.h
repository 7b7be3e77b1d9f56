#pragma once

#include "daemon/rpc/admitted_call.h"

namespace forge {

// A call that tells its client what happens until the client leaves or the daemon stops.
// Thread-safe.
template <typename Response>
class WatchCall : public AdmittedCall<Response> {
 public:
  // The registry's side. A watch has no end of its own to wait for.
  void BeginDrain() override { this->FinishAfterQueue(ToGrpc(ShuttingDown())); }
  void Abort(const Status& status) override { this->FinishNow(ToGrpc(status)); }

 protected:
  using AdmittedCall<Response>::AdmittedCall;
};

}  // namespace forge
