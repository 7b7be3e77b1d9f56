#pragma once

#include <grpcpp/impl/service_type.h>

#include <memory>

#include "daemon/rpc/service_context.h"

namespace forge {

// forge.v1.ForgeService. Thread-safe. Lifetime: `context` must outlive the service.
std::unique_ptr<grpc::Service> MakeService(ServiceContext& context);

}  // namespace forge
