#include <unistd.h>

#include "daemon/rpc/handlers.h"
#include "daemon/rpc/proto_convert.h"
#include "daemon/rpc/unary_call.h"

namespace forge {
namespace {

Status GetServerInfo(ServiceContext& service, v1::GetServerInfoResponse& response) {
  response.set_version(service.version);
  *response.mutable_start_time() = TimestampToProto(service.start_time);
  response.set_process_id(getpid());
  for (const std::string& directory : service.config.model_directories) {
    response.add_model_directories(directory);
  }
  for (const DeviceMemory& device : service.engine.Memory()) response.add_devices(device.device);
  uint32_t running = 0, queued = 0;
  const std::vector<ModelStatus> models = service.engine.ListModels();
  for (const ModelStatus& model : models) {
    running += model.slots_busy;
    queued += model.queued;
  }
  response.set_resident_model_count(static_cast<uint32_t>(models.size()));
  response.set_running_turn_count(running);
  response.set_queued_turn_count(queued);
  response.set_draining(service.running_calls.draining());
  response.set_step_count(static_cast<int64_t>(service.engine.Progress().steps));
  return Status();
}

}  // namespace

grpc::ServerUnaryReactor* HandleGetServerInfo(ServiceContext& service,
                                              grpc::CallbackServerContext* context,
                                              const v1::GetServerInfoRequest* /*request*/,
                                              v1::GetServerInfoResponse* response) {
  return RunOnWorker(service, context,
                     [&service, response] { return GetServerInfo(service, *response); });
}

}  // namespace forge
