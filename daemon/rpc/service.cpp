#include "daemon/rpc/service.h"

#include <forge/v1/forge.grpc.pb.h>

#include <type_traits>

#include "daemon/rpc/handlers.h"
#include "daemon/rpc/stream_call.h"

namespace forge {
namespace {

// Binds each RPC to its handler. A handler that throws refuses its call: gRPC would say that there
// is no such RPC.
class Service final : public v1::ForgeService::CallbackService {
 public:
  explicit Service(ServiceContext& context) : context_(context) {}

  grpc::ServerBidiReactor<v1::LoadModelRequest, v1::LoadModelResponse>* LoadModel(
      grpc::CallbackServerContext* context) override {
    return Begin([&] { return HandleLoadModel(context_, context); });
  }
  grpc::ServerBidiReactor<v1::GenerateRequest, v1::GenerateResponse>* Generate(
      grpc::CallbackServerContext* context) override {
    return Begin([&] { return HandleGenerate(context_, context); });
  }
  grpc::ServerUnaryReactor* PlanModel(grpc::CallbackServerContext* context,
                                      const v1::PlanModelRequest* request,
                                      v1::PlanModelResponse* response) override {
    return Begin([&] { return HandlePlanModel(context_, context, request, response); });
  }
  grpc::ServerUnaryReactor* PinModel(grpc::CallbackServerContext* context,
                                     const v1::PinModelRequest* request,
                                     v1::PinModelResponse* response) override {
    return Begin([&] { return HandlePinModel(context_, context, request, response); });
  }
  grpc::ServerUnaryReactor* Yield(grpc::CallbackServerContext* context,
                                  const v1::YieldRequest* request,
                                  v1::YieldResponse* response) override {
    return Begin([&] { return HandleYield(context_, context, request, response); });
  }
  grpc::ServerWriteReactor<v1::EmbedResponse>* Embed(grpc::CallbackServerContext* context,
                                                     const v1::EmbedRequest* request) override {
    return Begin([&] { return HandleEmbed(context_, context, request); });
  }
  grpc::ServerWriteReactor<v1::ScoreResponse>* Score(grpc::CallbackServerContext* context,
                                                     const v1::ScoreRequest* request) override {
    return Begin([&] { return HandleScore(context_, context, request); });
  }
  grpc::ServerUnaryReactor* UnloadModel(grpc::CallbackServerContext* context,
                                        const v1::UnloadModelRequest* request,
                                        v1::UnloadModelResponse* response) override {
    return Begin([&] { return HandleUnloadModel(context_, context, request, response); });
  }
  grpc::ServerUnaryReactor* ListModels(grpc::CallbackServerContext* context,
                                       const v1::ListModelsRequest* request,
                                       v1::ListModelsResponse* response) override {
    return Begin([&] { return HandleListModels(context_, context, request, response); });
  }
  grpc::ServerUnaryReactor* GetModel(grpc::CallbackServerContext* context,
                                     const v1::GetModelRequest* request,
                                     v1::GetModelResponse* response) override {
    return Begin([&] { return HandleGetModel(context_, context, request, response); });
  }
  grpc::ServerUnaryReactor* Tokenize(grpc::CallbackServerContext* context,
                                     const v1::TokenizeRequest* request,
                                     v1::TokenizeResponse* response) override {
    return Begin([&] { return HandleTokenize(context_, context, request, response); });
  }
  grpc::ServerUnaryReactor* Detokenize(grpc::CallbackServerContext* context,
                                       const v1::DetokenizeRequest* request,
                                       v1::DetokenizeResponse* response) override {
    return Begin([&] { return HandleDetokenize(context_, context, request, response); });
  }
  grpc::ServerUnaryReactor* GetMemory(grpc::CallbackServerContext* context,
                                      const v1::GetMemoryRequest* request,
                                      v1::GetMemoryResponse* response) override {
    return Begin([&] { return HandleGetMemory(context_, context, request, response); });
  }
  grpc::ServerWriteReactor<v1::WatchMemoryResponse>* WatchMemory(
      grpc::CallbackServerContext* context, const v1::WatchMemoryRequest* request) override {
    return Begin([&] { return HandleWatchMemory(context_, context, request); });
  }
  grpc::ServerWriteReactor<v1::WatchEventsResponse>* WatchEvents(
      grpc::CallbackServerContext* context, const v1::WatchEventsRequest* request) override {
    return Begin([&] { return HandleWatchEvents(context_, context, request); });
  }
  grpc::ServerUnaryReactor* ReplayPolicy(grpc::CallbackServerContext* context,
                                         const v1::ReplayPolicyRequest* request,
                                         v1::ReplayPolicyResponse* response) override {
    return Begin([&] { return HandleReplayPolicy(context_, context, request, response); });
  }
  grpc::ServerUnaryReactor* GetServerInfo(grpc::CallbackServerContext* context,
                                          const v1::GetServerInfoRequest* request,
                                          v1::GetServerInfoResponse* response) override {
    return Begin([&] { return HandleGetServerInfo(context_, context, request, response); });
  }

 private:
  // The reactor that `handle` makes.
  template <typename Handle>
  auto Begin(const Handle& handle) -> decltype(handle()) {
    using Reactor = std::remove_pointer_t<decltype(handle())>;
    Reactor* reactor = nullptr;
    Contain([&] { reactor = handle(); },
            [&](const Status& status) { reactor = new RefusedCall<Reactor>(context_, status); });
    return reactor;
  }

  ServiceContext& context_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeService(ServiceContext& context) {
  return std::make_unique<Service>(context);
}

}  // namespace forge
