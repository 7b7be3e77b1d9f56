#include <fmt/format.h>

#include <map>

#include "daemon/rpc/handlers.h"
#include "daemon/rpc/proto_convert.h"
#include "daemon/rpc/reading_call.h"
#include "daemon/rpc/text_input.h"

namespace forge {
namespace {

// The embeddings of a batch of texts, in order.
//
// Runs at most as many at a time as the model has slots, so that a large batch neither fills the
// queue nor keeps others waiting for long, and starts none before the client has taken those before
// it: a slow client makes the batch slow, and nothing pile up. Thread-safe.
class EmbedCall final : public ReadingCall<v1::EmbedResponse> {
 public:
  EmbedCall(ServiceContext& service, grpc::CallbackServerContext& context,
            CallAdmission::Ticket ticket, const v1::EmbedRequest& request)
      : ReadingCall(service, context, std::move(ticket), request.model(), /*needs_logits=*/false),
        request_(request) {}

 private:
  // One of the texts, on the engine's executor thread.
  class Input final : public EmbeddingSink {
   public:
    Input(std::shared_ptr<EmbedCall> call, size_t index) : call_(std::move(call)), index_(index) {}

    void OnQueued(uint32_t) override {}
    void OnPromptProgress(uint32_t, uint32_t) override {}
    void OnEmbedding(std::vector<float> embedding) override {
      embedding_ = std::make_shared<std::vector<float>>(std::move(embedding));
    }
    // Shares the embedding: where the memory ends here, this is called again.
    void OnFinished(const Status& status, const GenerateUsage& usage) override {
      call_->PostUnlessEnded([call = call_.get(), index = index_, status,
                              embedding = embedding_]() mutable {
        call->OnInputDone(index, status, embedding ? std::move(*embedding) : std::vector<float>());
      });
      call_->Count(usage);  // last: what comes before may throw, and is then called again
    }

   private:
    const std::shared_ptr<EmbedCall> call_;
    const size_t index_;
    std::shared_ptr<std::vector<float>> embedding_;  // null where there is none
  };

  Status Submit(const ModelSnapshot& model) override {
    if (request_.inputs().empty()) return BadField("inputs", "is empty");
    FORGE_ASSIGN_OR_RETURN(pooling_, PoolingFromProto(request_.pooling(), model.info.pooling));
    std::vector<std::vector<TokenId>> texts;
    for (int i = 0; i < request_.inputs_size(); ++i) {
      FORGE_ASSIGN_OR_RETURN(std::vector<TokenId> tokens,
                             TokensOf(service_.engine, model, request_.inputs(i), NameOf(i)));
      texts.push_back(std::move(tokens));
    }
    {
      const MutexLock lock(mutex_);
      model_id_ = model.id;
      max_running_ = std::max(1u, model.info.max_sequences);
      texts_ = std::move(texts);
    }
    StartMore();
    return Status();
  }

  static std::string NameOf(int64_t index) { return fmt::format("inputs[{}]", index); }

  // Takes the next text, if it may run now.
  struct Work {
    ModelId model;
    size_t index;
    std::vector<TokenId> tokens;
  };
  std::optional<Work> TakeNext() {
    const MutexLock lock(mutex_);
    if (n_started_ == texts_.size() || n_started_ >= n_written_ + max_running_) return std::nullopt;
    const size_t index = n_started_++;
    n_tokens_[index] = static_cast<uint32_t>(texts_[index].size());
    return Work{model_id_, index, std::move(texts_[index])};
  }

  void StartMore() {
    while (std::optional<Work> work = TakeNext()) {
      const size_t index = work->index;
      const Status status = StartOne(*std::move(work));
      if (!status.ok()) return Fail(status.WithContext(NameOf(static_cast<int64_t>(index))));
    }
  }

  Status StartOne(Work work) {
    FORGE_ASSIGN_OR_RETURN(const SessionId session, OpenSession(work.model));
    {
      const MutexLock lock(mutex_);
      running_[work.index] = session;
    }
    const bool normalize = !request_.has_normalize() || request_.normalize();
    return service_.engine.Embed(
        session, {std::move(work.tokens), pooling_, normalize},
        std::make_shared<Input>(std::static_pointer_cast<EmbedCall>(Self()), work.index));
  }

  // On the writers' thread.
  void OnInputDone(size_t index, const Status& status, std::vector<float> embedding) {
    if (!status.ok()) return Fail(status);
    std::vector<v1::EmbedResponse> ready;
    SessionId session = 0;
    bool is_done = false;
    {
      const MutexLock lock(mutex_);
      session = running_.at(index);
      running_.erase(index);
      done_[index] = std::move(embedding);
      while (!done_.empty() && done_.begin()->first == n_sent_) {
        ready.push_back(ResponseOf(n_sent_, done_.begin()->second));
        done_.erase(done_.begin());
        ++n_sent_;
      }
      is_done = n_sent_ == texts_.size();
    }
    CloseSession(session);
    // Nothing is cut off for its size: what was not taken keeps further texts from being started.
    for (v1::EmbedResponse& response : ready) Send(std::move(response), /*cost_bytes=*/0);
    if (is_done) Succeed();
  }

  v1::EmbedResponse ResponseOf(size_t index, const std::vector<float>& embedding)
      FORGE_REQUIRES(mutex_) {
    v1::EmbedResponse response;
    response.set_index(static_cast<uint32_t>(index));
    response.mutable_values()->Add(embedding.begin(), embedding.end());
    response.set_token_count(n_tokens_.at(index));
    n_tokens_.erase(index);
    return response;
  }

  void OnWritten() override {
    {
      const MutexLock lock(mutex_);
      ++n_written_;
    }
    PostUnlessEnded([this] { StartMore(); });
  }

  const v1::EmbedRequest request_;
  Pooling pooling_ = Pooling::kMean;  // set before the first text is started

  Mutex mutex_;
  ModelId model_id_ FORGE_GUARDED_BY(mutex_) = 0;
  size_t max_running_ FORGE_GUARDED_BY(mutex_) = 1;
  std::vector<std::vector<TokenId>> texts_ FORGE_GUARDED_BY(mutex_);
  size_t n_started_ FORGE_GUARDED_BY(mutex_) = 0;
  size_t n_sent_ FORGE_GUARDED_BY(mutex_) = 0;
  size_t n_written_ FORGE_GUARDED_BY(mutex_) = 0;
  std::map<size_t, uint32_t> n_tokens_ FORGE_GUARDED_BY(mutex_);        // of those not sent
  std::map<size_t, SessionId> running_ FORGE_GUARDED_BY(mutex_);        // by index
  std::map<size_t, std::vector<float>> done_ FORGE_GUARDED_BY(mutex_);  // and not sent
};

}  // namespace

grpc::ServerWriteReactor<v1::EmbedResponse>* HandleEmbed(ServiceContext& service,
                                                         grpc::CallbackServerContext* context,
                                                         const v1::EmbedRequest* request) {
  return StartAdmitted<EmbedCall, v1::EmbedResponse>(service, *context, *request);
}

}  // namespace forge
