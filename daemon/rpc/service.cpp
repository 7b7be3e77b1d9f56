#include "daemon/rpc/service.h"

#include "daemon/rpc/handlers.h"

namespace forge {

grpc::ServerBidiReactor<v1::LoadModelRequest, v1::LoadModelResponse>* Service::LoadModel(
    grpc::CallbackServerContext* context) {
  return HandleLoadModel(context_, context);
}

grpc::ServerBidiReactor<v1::GenerateRequest, v1::GenerateResponse>* Service::Generate(
    grpc::CallbackServerContext* context) {
  return HandleGenerate(context_, context);
}

grpc::ServerUnaryReactor* Service::PlanModel(grpc::CallbackServerContext* context,
                                             const v1::PlanModelRequest* request,
                                             v1::PlanModelResponse* response) {
  return HandlePlanModel(context_, context, request, response);
}

grpc::ServerUnaryReactor* Service::PinModel(grpc::CallbackServerContext* context,
                                            const v1::PinModelRequest* request,
                                            v1::PinModelResponse* response) {
  return HandlePinModel(context_, context, request, response);
}

grpc::ServerUnaryReactor* Service::Yield(grpc::CallbackServerContext* context,
                                         const v1::YieldRequest* request,
                                         v1::YieldResponse* response) {
  return HandleYield(context_, context, request, response);
}

grpc::ServerWriteReactor<v1::EmbedResponse>* Service::Embed(grpc::CallbackServerContext* context,
                                                            const v1::EmbedRequest* request) {
  return HandleEmbed(context_, context, request);
}

grpc::ServerWriteReactor<v1::ScoreResponse>* Service::Score(grpc::CallbackServerContext* context,
                                                            const v1::ScoreRequest* request) {
  return HandleScore(context_, context, request);
}

grpc::ServerUnaryReactor* Service::UnloadModel(grpc::CallbackServerContext* context,
                                               const v1::UnloadModelRequest* request,
                                               v1::UnloadModelResponse* response) {
  return HandleUnloadModel(context_, context, request, response);
}

grpc::ServerUnaryReactor* Service::ListModels(grpc::CallbackServerContext* context,
                                              const v1::ListModelsRequest* request,
                                              v1::ListModelsResponse* response) {
  return HandleListModels(context_, context, request, response);
}

grpc::ServerUnaryReactor* Service::GetModel(grpc::CallbackServerContext* context,
                                            const v1::GetModelRequest* request,
                                            v1::GetModelResponse* response) {
  return HandleGetModel(context_, context, request, response);
}

grpc::ServerUnaryReactor* Service::Tokenize(grpc::CallbackServerContext* context,
                                            const v1::TokenizeRequest* request,
                                            v1::TokenizeResponse* response) {
  return HandleTokenize(context_, context, request, response);
}

grpc::ServerUnaryReactor* Service::Detokenize(grpc::CallbackServerContext* context,
                                              const v1::DetokenizeRequest* request,
                                              v1::DetokenizeResponse* response) {
  return HandleDetokenize(context_, context, request, response);
}

grpc::ServerUnaryReactor* Service::GetMemory(grpc::CallbackServerContext* context,
                                             const v1::GetMemoryRequest* request,
                                             v1::GetMemoryResponse* response) {
  return HandleGetMemory(context_, context, request, response);
}

grpc::ServerWriteReactor<v1::WatchMemoryResponse>* Service::WatchMemory(
    grpc::CallbackServerContext* context, const v1::WatchMemoryRequest* request) {
  return HandleWatchMemory(context_, context, request);
}

grpc::ServerWriteReactor<v1::WatchEventsResponse>* Service::WatchEvents(
    grpc::CallbackServerContext* context, const v1::WatchEventsRequest* request) {
  return HandleWatchEvents(context_, context, request);
}

grpc::ServerUnaryReactor* Service::ReplayPolicy(grpc::CallbackServerContext* context,
                                                const v1::ReplayPolicyRequest* request,
                                                v1::ReplayPolicyResponse* response) {
  return HandleReplayPolicy(context_, context, request, response);
}

grpc::ServerUnaryReactor* Service::GetServerInfo(grpc::CallbackServerContext* context,
                                                 const v1::GetServerInfoRequest* request,
                                                 v1::GetServerInfoResponse* response) {
  return HandleGetServerInfo(context_, context, request, response);
}

}  // namespace forge
