#include "engine/runtime/reading.h"

#include <cmath>
#include <string>
#include <utility>

#include "engine/runtime/logprobs.h"
#include "engine/runtime/request_checks.h"
#include "kernels/base/log_sum_exp.h"

namespace forge {
namespace {

using Clock = std::chrono::steady_clock;

// What reading a text is, whatever is read of it: the derived class takes the rows, and tells its
// kind of sink what they came to.
template <typename Sink>
class Reading : public Task {
 public:
  Reading(std::vector<TokenId> tokens, std::shared_ptr<Sink> sink)
      : tokens_(std::move(tokens)), sink_(std::move(sink)), submitted_(Clock::now()) {}

  const std::vector<TokenId>& prompt() const final { return tokens_; }
  bool is_reading() const final { return true; }
  std::shared_ptr<ProgressSink> progress_sink() const final { return sink_; }

  void Start(uint32_t /*n_cached*/, uint32_t n_to_compute) final {
    n_to_compute_ = n_to_compute;
    started_ = Clock::now();
  }
  uint32_t n_to_compute() const final { return n_to_compute_; }

  std::vector<Outcome> TakeOutcomes(uint32_t n_pending) final {
    std::vector<Outcome> outcomes(1);
    Outcome& outcome = outcomes.front();
    outcome.status = failure_;
    if (!failure_.ok()) return outcomes;
    if (n_pending == 0) outcome.finish = FinishReason::kEndOfText;
    outcome.delivery = TakeResults(n_pending == 0);
    return outcomes;
  }

  EndCall End(const Status& status, FinishReason reason, uint32_t context_used) final {
    const Clock::time_point now = Clock::now();
    GenerateUsage usage;
    usage.prompt_tokens = static_cast<uint32_t>(tokens_.size());
    usage.context_used = context_used;
    usage.queue_time = started_.value_or(now) - submitted_;
    if (started_) usage.prefill_time = now - *started_;
    Status told = status;
    if (told.ok() && reason == FinishReason::kCancelled)
      told = Cancelled("the reading was cancelled");
    return [sink = sink_, told, usage](const Status& lost) {
      sink->OnFinished(lost.ok() ? told : lost, usage);
    };
  }

 protected:
  // The call that hands over what came since the last one; empty if nothing did.
  virtual std::function<void()> TakeResults(bool is_last) = 0;

  // Ends the reading after this step.
  void Fail(Status status) { failure_ = std::move(status); }

  // Constant after construction.
  const std::vector<TokenId> tokens_;
  const std::shared_ptr<Sink> sink_;

 private:
  uint32_t n_to_compute_ = 0;
  Status failure_;
  Clock::time_point submitted_;
  std::optional<Clock::time_point> started_;
};

// The log-probability of each token after those before it.
class Scoring final : public Reading<ScoreSink> {
 public:
  Scoring(ScoreRequest request, std::shared_ptr<ScoreSink> sink)
      : Reading(std::move(request.tokens), std::move(sink)), n_top_(request.top_logprobs) {}

  StepOutput Wants(uint32_t first, uint32_t /*end*/, uint32_t n_tokens) const override {
    return first + 1 < n_tokens ? StepOutput::kAllLogits : StepOutput::kNothing;
  }

  void TakeRow(uint32_t position, const StepRow& row, std::span<const TokenId> sequence) override {
    if (position + 1 >= sequence.size()) return;  // what comes after the text is nobody's question
    const std::span<const float> logits = row.values;
    const double log_sum_exp = LogSumExp(logits);
    if (!std::isfinite(log_sum_exp)) return Fail(NoNumbers("logits"));
    const TokenId token = sequence[position + 1];
    TokenScore score = {token, LogprobOf(logits[static_cast<size_t>(token)], log_sum_exp), {}};
    if (n_top_ > 0) score.top_logprobs = TopLogprobs(logits, log_sum_exp, n_top_);
    scores_.push_back(std::move(score));
  }

 private:
  std::function<void()> TakeResults(bool /*is_last*/) override {
    if (scores_.empty()) return nullptr;
    return [sink = sink_, scores = std::exchange(scores_, {})]() mutable {
      sink->OnScores(std::move(scores));
    };
  }

  const uint32_t n_top_;
  std::vector<TokenScore> scores_;
};

// One vector of the hidden states, summed in double in order of position, so that it does not
// depend on how the text was cut into steps.
class Embedding final : public Reading<EmbeddingSink> {
 public:
  Embedding(EmbedRequest request, std::shared_ptr<EmbeddingSink> sink)
      : Reading(std::move(request.tokens), std::move(sink)),
        pooling_(request.pooling),
        normalize_(request.normalize) {}

  StepOutput Wants(uint32_t first, uint32_t end, uint32_t n_tokens) const override {
    const bool is_wanted = pooling_ == Pooling::kMean ||
                           (pooling_ == Pooling::kCls && first == 0) ||
                           (pooling_ == Pooling::kLast && end == n_tokens);
    return is_wanted ? StepOutput::kAllHidden : StepOutput::kNothing;
  }

  void TakeRow(uint32_t position, const StepRow& row, std::span<const TokenId> sequence) override {
    if (pooling_ == Pooling::kCls && position > 0) return;
    if (pooling_ == Pooling::kLast && position + 1 < sequence.size()) return;
    const std::span<const float> hidden = row.values;
    sum_.resize(hidden.size(), 0.0);
    for (size_t i = 0; i < hidden.size(); ++i) {
      if (!std::isfinite(hidden[i])) return Fail(NoNumbers("hidden states"));
      sum_[i] += static_cast<double>(hidden[i]);
    }
  }

 private:
  std::function<void()> TakeResults(bool is_last) override {
    if (!is_last) return nullptr;
    double divisor = pooling_ == Pooling::kMean ? static_cast<double>(tokens_.size()) : 1.0;
    double sum_of_squares = 0.0;
    for (const double value : sum_) sum_of_squares += value * value;
    if (normalize_ && sum_of_squares > 0.0) divisor = std::sqrt(sum_of_squares);
    std::vector<float> embedding(sum_.size());
    for (size_t i = 0; i < sum_.size(); ++i) embedding[i] = static_cast<float>(sum_[i] / divisor);
    return [sink = sink_, embedding = std::move(embedding)]() mutable {
      sink->OnEmbedding(std::move(embedding));
    };
  }

  const Pooling pooling_;
  const bool normalize_;
  std::vector<double> sum_;  // [n_embd], of the tokens that count
};

Status CheckText(const std::vector<TokenId>& tokens, uint32_t n_vocab) {
  if (tokens.empty()) return InvalidRequest("tokens", "0 tokens", "at least one token long");
  return CheckTokens("tokens", tokens, n_vocab);
}

}  // namespace

Status ValidateRequest(const ScoreRequest& request, uint32_t n_vocab) {
  FORGE_TRY(CheckText(request.tokens, n_vocab));
  return CheckTopLogprobs(request.top_logprobs);
}

Status ValidateRequest(const EmbedRequest& request, uint32_t n_vocab) {
  return CheckText(request.tokens, n_vocab);
}

Status CheckFits(uint64_t n_tokens, uint32_t n_context) {
  if (n_tokens <= n_context) return Status();
  return OutOfRange("input does not fit the context: " + std::to_string(n_tokens) +
                    " tokens exceed the " + std::to_string(n_context) +
                    " that the model was loaded with")
      .WithReason("CONTEXT_LENGTH_EXCEEDED")
      .WithDetail("inputTokens", n_tokens)
      .WithDetail("contextTokens", n_context);
}

std::unique_ptr<Task> MakeReading(ScoreRequest request, std::shared_ptr<ScoreSink> sink) {
  return std::make_unique<Scoring>(std::move(request), std::move(sink));
}

std::unique_ptr<Task> MakeReading(EmbedRequest request, std::shared_ptr<EmbeddingSink> sink) {
  return std::make_unique<Embedding>(std::move(request), std::move(sink));
}

}  // namespace forge
