#include "gateway/endpoints/exchange.h"

#include "client/error_details.h"
#include "client/failure.h"
#include "gateway/http/peer_watch.h"

namespace forge::gateway {

namespace {

using Turn = v1::GenerateRequest::Turn;

ApiError Stopped() {
  ApiError error;
  error.http_status = 503;
  error.code = "cancelled";
  error.message = "the answer was stopped: its client left, or forge-gateway is stopping";
  error.retry_after = std::chrono::seconds(1);
  return error;
}

ApiError ErrorOfCall(const Exchange& exchange, const grpc::Status& status) {
  const bool is_stopped = status.error_code() == grpc::StatusCode::CANCELLED &&
                          client::ReadErrorDetails(status).reason.empty();
  if (is_stopped) return Stopped();
  ApiError error = ErrorOf(status, exchange.daemon.address());
  if (error.param == "response_format") error.param = exchange.schema_field;
  return error;
}

// Hands the events of a turn to `take`, which returns false if no more are wanted.
grpc::Status RunTurn(const Exchange& exchange, const Turn& turn,
                     const std::function<bool(const v1::GenerateResponse&)>& take) {
  return CallWhileWanted(exchange, [&](grpc::ClientContext& call) {
    v1::GenerateRequest request;
    *request.mutable_turn() = turn;
    const auto stream = exchange.daemon.stub().Generate(&call);
    stream->Write(request);  // a failure shows when reading
    v1::GenerateResponse event;
    while (!event.has_finished() && stream->Read(&event)) {
      if (take(event)) continue;
      call.TryCancel();
      break;
    }
    stream->WritesDone();
    const grpc::Status status = stream->Finish();
    // A daemon that shuts down closes the stream behind a whole answer with an error.
    if (event.has_finished()) return grpc::Status::OK;
    return status.ok() ? client::EndedWithoutAnswer() : status;
  });
}

}  // namespace

void SendError(const Exchange& exchange, const ApiError& error) {
  if (!exchange.responder.has_begun()) {
    exchange.responder.SendError(error);
    return;
  }
  exchange.responder.WriteStream(ServerSentError(error, exchange.responder.dialect()));
  exchange.responder.EndStream();
}

void SendError(const Exchange& exchange, const Status& status) {
  SendError(exchange, ErrorOf(status));
}

void SendError(const Exchange& exchange, const grpc::Status& status) {
  SendError(exchange, ErrorOfCall(exchange, status));
}

grpc::Status CallWhileWanted(const Exchange& exchange,
                             const std::function<grpc::Status(grpc::ClientContext&)>& call) {
  grpc::ClientContext context;
  const PeerWatch watch(exchange.responder.socket(), [&context] { context.TryCancel(); });
  const grpc::Status status = call(context);
  if (!status.ok() && watch.is_gone())
    return grpc::Status(grpc::StatusCode::CANCELLED, "the client left");
  return status;
}

void AnswerWhole(const Exchange& exchange, const Turn& turn, WholeAnswer& answer) {
  const grpc::Status status = RunTurn(exchange, turn, [&answer](const v1::GenerateResponse& event) {
    answer.Take(event);
    return true;
  });
  if (!status.ok()) return SendError(exchange, status);
  exchange.responder.SendJson(200, Dump(answer.ToJson()));
}

void AnswerStreamed(const Exchange& exchange, const Turn& turn, StreamedAnswer& answer) {
  Responder& responder = exchange.responder;
  const grpc::Status status = RunTurn(exchange, turn, [&](const v1::GenerateResponse& event) {
    const std::string events = answer.Take(event);
    // The stream begins with the first token, so that what goes wrong before has its status.
    if (events.empty()) return true;
    if (!responder.has_begun() && !responder.BeginStream()) return false;
    return responder.WriteStream(events);
  });
  if (!status.ok()) {
    const ApiError error = ErrorOfCall(exchange, status);
    if (!responder.has_begun()) return SendError(exchange, error);
    responder.WriteStream(answer.Fail(error));
  }
  responder.EndStream();
}

}  // namespace forge::gateway
