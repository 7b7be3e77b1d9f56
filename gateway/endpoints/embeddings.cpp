#include "gateway/endpoints/endpoints.h"
#include "gateway/translate/embedding_answer.h"
#include "gateway/translate/embedding_request.h"

namespace forge::gateway {

void AnswerEmbeddings(const Exchange& exchange, const std::string&) {
  const Result<Json> body = ParseBody(exchange.request.body);
  if (!body.ok()) return SendError(exchange, body.status());
  const Result<EmbeddingRequest> request = ReadEmbeddingRequest(*body);
  if (!request.ok()) return SendError(exchange, request.status());
  EmbeddingAnswer answer(request->embed.model(), request->is_base64);
  const grpc::Status status = CallWhileWanted(exchange, [&](grpc::ClientContext& call) {
    const auto stream = exchange.daemon.stub().Embed(&call, request->embed);
    v1::EmbedResponse response;
    while (stream->Read(&response)) answer.Take(response);
    return stream->Finish();
  });
  if (!status.ok()) return SendError(exchange, status);
  exchange.responder.SendJson(200, answer.Body());
}

}  // namespace forge::gateway
