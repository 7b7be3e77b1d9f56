#include "daemon/rpc/handlers.h"
#include "daemon/rpc/proto_convert.h"
#include "daemon/rpc/reading_call.h"
#include "daemon/rpc/text_input.h"
#include "daemon/text/utf8.h"

namespace forge {
namespace {

// Messages are cut at this size, near enough: clients accept 4 MiB.
constexpr size_t kMessageBytes = 64 << 10;

size_t CostBytes(uint32_t n_alternatives) {
  return sizeof(v1::TokenScore) + n_alternatives * sizeof(v1::TokenLogprob);
}

// The scores of one text. Thread-safe.
class ScoreCall final : public ReadingCall<v1::ScoreResponse>, public ScoreSink {
 public:
  ScoreCall(ServiceContext& service, grpc::CallbackServerContext& context,
            CallAdmission::Ticket ticket, const v1::ScoreRequest& request)
      : ReadingCall(service, context, std::move(ticket), request.model(), /*needs_logits=*/true),
        request_(request) {}

  // The engine's side, on its executor thread.
  void OnQueued(uint32_t) override {}
  void OnPromptProgress(uint32_t, uint32_t) override {}
  void OnScores(std::vector<TokenScore> scores) override {
    for (const TokenScore& score : scores) {
      v1::TokenScore& out = Append(score.token);
      out.set_logprob(score.logprob);
      total_logprob_ += static_cast<double>(score.logprob);
      ++n_scored_;
      for (const TokenLogprob& alternative : score.top_logprobs) {
        v1::TokenLogprob* top = out.add_top_logprobs();
        top->set_token(alternative.token);
        top->set_logprob(alternative.logprob);
      }
      if (part_bytes_ >= kMessageBytes) SendPart();
    }
    SendPart();
  }
  void OnFinished(const Status& status, const GenerateUsage& usage) override {
    if (!status.ok()) {
      PostUnlessEnded([this, status] { Fail(status); });
      return Count(usage);
    }
    SendPart();
    if (!told_finished_) {
      v1::ScoreResponse response;
      v1::ScoreResponse::Finished* finished = response.mutable_finished();
      finished->set_total_logprob(total_logprob_);
      finished->set_scored_tokens(n_scored_);
      *finished->mutable_usage() = UsageToProto(usage);
      Send(std::move(response), /*cost_bytes=*/0);
      told_finished_ = true;  // where the memory ends below, this is called again
    }
    PostUnlessEnded([this] { Succeed(); });
    Count(usage);  // last: what comes before may throw, and is then called again
  }

 private:
  Status Submit(const ModelSnapshot& model) override {
    FORGE_ASSIGN_OR_RETURN(std::vector<TokenId> tokens,
                           TokensOf(service_.engine, model, request_.input(), "input"));
    // What one step yields comes at once, however fast the client reads.
    RaiseBound(2 * model.info.prefill_chunk * CostBytes(std::min(request_.top_logprobs(), 256u)));
    model_id_ = model.id;
    Append(tokens.front());
    FORGE_ASSIGN_OR_RETURN(const SessionId session, OpenSession(model.id));
    return service_.engine.Score(session, {std::move(tokens), request_.top_logprobs()},
                                 std::static_pointer_cast<ScoreCall>(Self()));
  }

  v1::TokenScore& Append(TokenId token) {
    part_bytes_ += CostBytes(request_.top_logprobs());
    v1::TokenScore* score = part_.mutable_scores()->add_scores();
    score->set_token(token);
    return *score;
  }

  void SendPart() {
    if (part_bytes_ == 0) return;
    const SendResult result = Send(std::move(part_), part_bytes_);
    part_.Clear();
    part_bytes_ = 0;
    if (result != SendResult::kFull) return;
    PostUnlessEnded([this] {
      CutOff("limits.stream_buffer", service_.config.limits.stream_buffer_bytes, "bytes");
    });
  }

  void Complete(v1::ScoreResponse& response) override {
    if (!response.has_scores()) return;
    const auto text_of = [this](TokenId token) {
      const Result<std::string> text = service_.engine.TokenText(model_id_, token);
      return text.ok() ? SanitizeUtf8(*text) : std::string();
    };
    for (v1::TokenScore& score : *response.mutable_scores()->mutable_scores()) {
      score.set_text(text_of(score.token()));
      for (v1::TokenLogprob& alternative : *score.mutable_top_logprobs())
        alternative.set_text(text_of(alternative.token()));
    }
  }

  const v1::ScoreRequest request_;

  // Set before the engine has the text, then touched by its executor only.
  ModelId model_id_ = 0;
  v1::ScoreResponse part_;  // what is not sent yet; begins with the first token
  size_t part_bytes_ = 0;
  double total_logprob_ = 0.0;
  uint32_t n_scored_ = 0;
  bool told_finished_ = false;
};

}  // namespace

grpc::ServerWriteReactor<v1::ScoreResponse>* HandleScore(ServiceContext& service,
                                                         grpc::CallbackServerContext* context,
                                                         const v1::ScoreRequest* request) {
  return StartAdmitted<ScoreCall, v1::ScoreResponse>(service, *context, *request);
}

}  // namespace forge
