#pragma once

#include <forge/v1/forge.pb.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include "daemon/rpc/service_context.h"

namespace forge {

// One handler for each RPC, each in the file of its name. A handler translates, delegates and maps
// the outcome; it does not block the calling thread.

grpc::ServerBidiReactor<v1::LoadModelRequest, v1::LoadModelResponse>* HandleLoadModel(
    ServiceContext& service, grpc::CallbackServerContext* context);
grpc::ServerBidiReactor<v1::GenerateRequest, v1::GenerateResponse>* HandleGenerate(
    ServiceContext& service, grpc::CallbackServerContext* context);
grpc::ServerWriteReactor<v1::EmbedResponse>* HandleEmbed(ServiceContext& service,
                                                         grpc::CallbackServerContext* context,
                                                         const v1::EmbedRequest* request);
grpc::ServerWriteReactor<v1::ScoreResponse>* HandleScore(ServiceContext& service,
                                                         grpc::CallbackServerContext* context,
                                                         const v1::ScoreRequest* request);

grpc::ServerUnaryReactor* HandlePlanModel(ServiceContext& service,
                                          grpc::CallbackServerContext* context,
                                          const v1::PlanModelRequest* request,
                                          v1::PlanModelResponse* response);
grpc::ServerUnaryReactor* HandlePinModel(ServiceContext& service,
                                         grpc::CallbackServerContext* context,
                                         const v1::PinModelRequest* request,
                                         v1::PinModelResponse* response);
grpc::ServerUnaryReactor* HandleYield(ServiceContext& service, grpc::CallbackServerContext* context,
                                      const v1::YieldRequest* request, v1::YieldResponse* response);
grpc::ServerUnaryReactor* HandleUnloadModel(ServiceContext& service,
                                            grpc::CallbackServerContext* context,
                                            const v1::UnloadModelRequest* request,
                                            v1::UnloadModelResponse* response);
grpc::ServerUnaryReactor* HandleListModels(ServiceContext& service,
                                           grpc::CallbackServerContext* context,
                                           const v1::ListModelsRequest* request,
                                           v1::ListModelsResponse* response);
grpc::ServerUnaryReactor* HandleGetModel(ServiceContext& service,
                                         grpc::CallbackServerContext* context,
                                         const v1::GetModelRequest* request,
                                         v1::GetModelResponse* response);
grpc::ServerUnaryReactor* HandleTokenize(ServiceContext& service,
                                         grpc::CallbackServerContext* context,
                                         const v1::TokenizeRequest* request,
                                         v1::TokenizeResponse* response);
grpc::ServerUnaryReactor* HandleDetokenize(ServiceContext& service,
                                           grpc::CallbackServerContext* context,
                                           const v1::DetokenizeRequest* request,
                                           v1::DetokenizeResponse* response);
grpc::ServerUnaryReactor* HandleGetMemory(ServiceContext& service,
                                          grpc::CallbackServerContext* context,
                                          const v1::GetMemoryRequest* request,
                                          v1::GetMemoryResponse* response);
grpc::ServerWriteReactor<v1::WatchMemoryResponse>* HandleWatchMemory(
    ServiceContext& service, grpc::CallbackServerContext* context,
    const v1::WatchMemoryRequest* request);
grpc::ServerWriteReactor<v1::WatchEventsResponse>* HandleWatchEvents(
    ServiceContext& service, grpc::CallbackServerContext* context,
    const v1::WatchEventsRequest* request);
grpc::ServerUnaryReactor* HandleReplayPolicy(ServiceContext& service,
                                             grpc::CallbackServerContext* context,
                                             const v1::ReplayPolicyRequest* request,
                                             v1::ReplayPolicyResponse* response);
grpc::ServerUnaryReactor* HandleGetServerInfo(ServiceContext& service,
                                              grpc::CallbackServerContext* context,
                                              const v1::GetServerInfoRequest* request,
                                              v1::GetServerInfoResponse* response);

}  // namespace forge
