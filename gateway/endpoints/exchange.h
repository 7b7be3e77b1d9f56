#pragma once

#include <functional>

#include "client/connection.h"
#include "gateway/http/request.h"
#include "gateway/http/responder.h"
#include "gateway/translate/answer.h"

namespace forge::gateway {

// A request and the way to its answer.
struct Exchange {
  const HttpRequest& request;
  Responder& responder;
  const client::Connection& daemon;
  const char* schema_field = "response_format";  // of the request, that a schema came from
};

// Answers with an error; of an answer that has begun already it is the last event.
void SendError(const Exchange& exchange, const ApiError& error);
void SendError(const Exchange& exchange, const Status& status);
void SendError(const Exchange& exchange, const grpc::Status& status);

// Runs a call to the daemon that is cancelled when the client goes, or forge-gateway stops: then it
// returns CANCELLED.
grpc::Status CallWhileWanted(const Exchange& exchange,
                             const std::function<grpc::Status(grpc::ClientContext&)>& call);

// Generates the answer to `turn` and sends it, whole or as it comes.
void AnswerWhole(const Exchange& exchange, const v1::GenerateRequest::Turn& turn,
                 WholeAnswer& answer);
void AnswerStreamed(const Exchange& exchange, const v1::GenerateRequest::Turn& turn,
                    StreamedAnswer& answer);

}  // namespace forge::gateway
