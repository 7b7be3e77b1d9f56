#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include <functional>

#include "daemon/rpc/service_context.h"
#include "kernels/base/status.h"

namespace forge {

// Runs the work of a unary call on a worker thread and finishes the call with its Status. Refuses
// the call (TOO_MANY_STREAMS) when too many run; skips the work when the client is gone by then.
// The call counts until its client has the answer; one that does not take it is cut off.
grpc::ServerUnaryReactor* RunOnWorker(ServiceContext& service, grpc::CallbackServerContext* context,
                                      std::function<Status()> work);
// The same for calls that are counted by `admission` in place of the one for all unary calls.
grpc::ServerUnaryReactor* RunOnWorker(ServiceContext& service, grpc::CallbackServerContext* context,
                                      CallAdmission& admission, std::function<Status()> work);

// The same for work that ends later, on another thread: it calls `finish` exactly once.
using FinishCall = std::function<void(const Status&)>;
grpc::ServerUnaryReactor* StartOnWorker(ServiceContext& service,
                                        grpc::CallbackServerContext* context,
                                        std::function<void(FinishCall finish)> work);

// kResourceExhausted, reason TOO_MANY_STREAMS, with the limit.
Status TooManyCalls(std::string_view kind, uint32_t limit);

}  // namespace forge
