#pragma once

#include <forge/v1/forge.grpc.pb.h>

#include "daemon/rpc/service_context.h"

namespace forge {

// Binds each RPC of forge.v1.ForgeService to its handler. Thread-safe.
class Service final : public v1::ForgeService::CallbackService {
 public:
  // Lifetime: `context` must outlive the service.
  explicit Service(ServiceContext& context) : context_(context) {}

  grpc::ServerBidiReactor<v1::LoadModelRequest, v1::LoadModelResponse>* LoadModel(
      grpc::CallbackServerContext* context) override;
  grpc::ServerBidiReactor<v1::GenerateRequest, v1::GenerateResponse>* Generate(
      grpc::CallbackServerContext* context) override;
  grpc::ServerUnaryReactor* PlanModel(grpc::CallbackServerContext* context,
                                      const v1::PlanModelRequest* request,
                                      v1::PlanModelResponse* response) override;
  grpc::ServerUnaryReactor* PinModel(grpc::CallbackServerContext* context,
                                     const v1::PinModelRequest* request,
                                     v1::PinModelResponse* response) override;
  grpc::ServerUnaryReactor* Yield(grpc::CallbackServerContext* context,
                                  const v1::YieldRequest* request,
                                  v1::YieldResponse* response) override;
  grpc::ServerWriteReactor<v1::EmbedResponse>* Embed(grpc::CallbackServerContext* context,
                                                     const v1::EmbedRequest* request) override;
  grpc::ServerWriteReactor<v1::ScoreResponse>* Score(grpc::CallbackServerContext* context,
                                                     const v1::ScoreRequest* request) override;
  grpc::ServerUnaryReactor* UnloadModel(grpc::CallbackServerContext* context,
                                        const v1::UnloadModelRequest* request,
                                        v1::UnloadModelResponse* response) override;
  grpc::ServerUnaryReactor* ListModels(grpc::CallbackServerContext* context,
                                       const v1::ListModelsRequest* request,
                                       v1::ListModelsResponse* response) override;
  grpc::ServerUnaryReactor* GetModel(grpc::CallbackServerContext* context,
                                     const v1::GetModelRequest* request,
                                     v1::GetModelResponse* response) override;
  grpc::ServerUnaryReactor* Tokenize(grpc::CallbackServerContext* context,
                                     const v1::TokenizeRequest* request,
                                     v1::TokenizeResponse* response) override;
  grpc::ServerUnaryReactor* Detokenize(grpc::CallbackServerContext* context,
                                       const v1::DetokenizeRequest* request,
                                       v1::DetokenizeResponse* response) override;
  grpc::ServerUnaryReactor* GetMemory(grpc::CallbackServerContext* context,
                                      const v1::GetMemoryRequest* request,
                                      v1::GetMemoryResponse* response) override;
  grpc::ServerWriteReactor<v1::WatchMemoryResponse>* WatchMemory(
      grpc::CallbackServerContext* context, const v1::WatchMemoryRequest* request) override;
  grpc::ServerWriteReactor<v1::WatchEventsResponse>* WatchEvents(
      grpc::CallbackServerContext* context, const v1::WatchEventsRequest* request) override;
  grpc::ServerUnaryReactor* ReplayPolicy(grpc::CallbackServerContext* context,
                                         const v1::ReplayPolicyRequest* request,
                                         v1::ReplayPolicyResponse* response) override;
  grpc::ServerUnaryReactor* GetServerInfo(grpc::CallbackServerContext* context,
                                          const v1::GetServerInfoRequest* request,
                                          v1::GetServerInfoResponse* response) override;

 private:
  ServiceContext& context_;
};

}  // namespace forge
