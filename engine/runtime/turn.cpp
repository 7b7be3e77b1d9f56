#include "engine/runtime/turn.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "engine/runtime/logprobs.h"
#include "engine/runtime/request_checks.h"
#include "kernels/api/top_logits.h"
#include "kernels/base/log_sum_exp.h"

namespace forge {
namespace {

constexpr size_t kMaxStopStrings = 64;
constexpr size_t kMaxStopStringBytes = 1024;
constexpr size_t kMaxStopTokens = 256;

Status CheckStops(const GenerateRequest& request, uint32_t n_vocab) {
  if (request.stop_strings.size() > kMaxStopStrings)
    return InvalidRequest("stop_strings", std::to_string(request.stop_strings.size()) + " strings",
                          "at most " + std::to_string(kMaxStopStrings) + " strings");
  for (size_t i = 0; i < request.stop_strings.size(); ++i) {
    const size_t n_bytes = request.stop_strings[i].size();
    if (n_bytes == 0 || n_bytes > kMaxStopStringBytes)
      return InvalidRequest("stop_strings[" + std::to_string(i) + "]",
                            std::to_string(n_bytes) + " bytes",
                            "1 to " + std::to_string(kMaxStopStringBytes) + " bytes long");
  }
  if (request.stop_tokens.size() > kMaxStopTokens)
    return InvalidRequest("stop_tokens", std::to_string(request.stop_tokens.size()) + " tokens",
                          "at most " + std::to_string(kMaxStopTokens) + " tokens");
  return CheckTokens("stop_tokens", request.stop_tokens, n_vocab);
}

// How many tokens of a draft are right, on average.
double ExpectedTokens(const Draft& draft) {
  double chance = 1.0, expected = 0.0;
  for (const double probability : draft.probabilities) expected += chance *= probability;
  return expected;
}

// How many of the greatest logits decide on the tokens of a request, and are told; 0: all, or more
// than a device picks out.
uint32_t NeededTop(const Sampler& sampler, const GenerateRequest& request, uint32_t n_vocab) {
  const uint32_t n_deciding = sampler.n_deciding();
  const uint32_t n_needed = std::max(n_deciding, request.top_logprobs);
  const bool suffices = n_deciding > 0 && n_needed <= std::min<uint32_t>(n_vocab, kMaxTopLogits);
  return suffices ? n_needed : 0;
}

}  // namespace

Status ValidateRequest(const GenerateRequest& request, uint32_t n_vocab) {
  if (request.prompt.empty())
    return InvalidRequest("prompt", "0 tokens", "at least one token long");
  FORGE_TRY(CheckTokens("prompt", request.prompt, n_vocab));
  FORGE_TRY(ValidateSampling(request.sampling, n_vocab));
  FORGE_TRY(CheckStops(request, n_vocab));
  return CheckTopLogprobs(request.top_logprobs);
}

Turn::Turn(const TurnLimits& limits, GenerateRequest request, TurnConstraints constraints,
           std::shared_ptr<GenerationSink> sink)
    : limits_(limits),
      request_(std::move(request)),
      sink_(std::move(sink)),
      constraint_(std::move(constraints.answer)),
      sampler_(request_.sampling, limits.n_vocab, limits.sampler_scratch),
      n_top_(constraint_ != nullptr ? 0 : NeededTop(sampler_, request_, limits.n_vocab)),
      text_(*limits.tokenizer, request_.stop_strings, request_.chat),
      calls_(std::move(constraints.calls)),
      submitted_(Clock::now()) {}

void Turn::Start(uint32_t n_cached, uint32_t n_to_compute) {
  n_cached_ = n_cached;
  n_to_compute_ = n_to_compute;
  started_ = Clock::now();
}

StepOutput Turn::Wants(uint32_t /*first*/, uint32_t end, uint32_t n_tokens) const {
  if (end < n_tokens) return StepOutput::kNothing;
  return chooses_top() ? StepOutput::kTopLogits : StepOutput::kLastLogits;
}

const Draft* Turn::Propose(std::span<const TokenId> sequence, size_t most) {
  // The step gives a token without a draft, and none after the last one that there may be.
  const size_t n_left =
      limits_.context_length - 1 - std::min<size_t>(limits_.context_length - 1, sequence.size());
  most = std::min(most, n_left);
  if (request_.max_tokens > 0) most = std::min<size_t>(most, request_.max_tokens - n_output_ - 1);
  const Draft& repeated = drafter_.Propose(sequence, most);
  if (constraint_ == nullptr) return &repeated;
  if (!forced_) forced_.emplace(*limits_.tokenizer, constraint_->automaton(), limits_.n_vocab);
  const Draft& forced = forced_->Propose(sequence.last(n_output_), most);
  const auto n_possible = static_cast<ptrdiff_t>(forced_->CountPossible(repeated.tokens));
  possible_.tokens.assign(repeated.tokens.begin(), repeated.tokens.begin() + n_possible);
  possible_.probabilities.assign(repeated.probabilities.begin(),
                                 repeated.probabilities.begin() + n_possible);
  return ExpectedTokens(forced) > ExpectedTokens(possible_) ? &forced : &possible_;
}

void Turn::TakeRow(uint32_t position, const StepRow& row, std::span<const TokenId> sequence) {
  const bool is_of_draft = !next_.empty();
  if (is_of_draft) {
    ++n_drafted_;
    const Result<Token>& before = next_.back();
    // The step was begun before a call was, which needs all logits.
    const bool suffices = row.tokens.empty() || chooses_top();
    const bool counts = position == next_position_ + 1 && before.ok() && !before->finish &&
                        before->event.token == sequence[position] && suffices;
    if (!counts) return;
    ++n_accepted_;
  }
  next_.push_back(NextToken(row, sequence.first(position + 1)));
  next_position_ = position;
  if (!next_.back().ok()) return;
  drafter_.Learn(next_.back()->event.token);
  if (forced_) forced_->Learn(next_.back()->event.token);
}

std::vector<Task::Outcome> Turn::TakeOutcomes(uint32_t /*n_pending*/) {
  std::vector<Outcome> outcomes(std::max<size_t>(1, next_.size()));
  for (size_t i = 0; i < next_.size(); ++i) {
    Outcome& outcome = outcomes[i];
    Result<Token>& next = next_[i];
    outcome.status = next.status();
    if (!next.ok()) continue;
    outcome.token = next->event.token;
    outcome.finish = next->finish;
    outcome.delivery = [sink = sink_, event = std::move(next->event)]() mutable {
      sink->OnToken(std::move(event));
    };
  }
  next_.clear();
  return outcomes;
}

Task::EndCall Turn::End(const Status& status, FinishReason reason, uint32_t context_used) {
  const TextPiece trailing = text_.Finish();
  std::optional<ChatAnswer> answer;
  if (text_.is_chat()) answer = text_.Answer();
  if (reason == FinishReason::kEndOfText && text_.has_tool_calls())
    reason = FinishReason::kToolCalls;
  return
      [sink = sink_, status, reason, trailing, answer = std::move(answer),
       stop_string = text_.stop_string(), usage = Usage(context_used)](const Status& lost) mutable {
        if (answer && lost.ok()) sink->OnAnswer(*answer, trailing.kind);
        answer.reset();  // once, should the rest be called again
        if (!stop_string.empty() && lost.ok()) sink->OnStopString(stop_string);
        stop_string.clear();
        if (lost.ok()) return sink->OnFinished(status, reason, trailing.text, usage);
        sink->OnFinished(lost, FinishReason::kCancelled, {}, usage);
      };
}

Result<Turn::Token> Turn::NextToken(const StepRow& row, std::span<const TokenId> sequence) {
  Token next;
  FORGE_ASSIGN_OR_RETURN(next.event,
                         row.tokens.empty() ? Choose(row.values, sequence) : ChooseTop(row));
  if (!first_token_) first_token_ = Clock::now();
  ++n_output_;
  const TokenId token = next.event.token;
  next.finish = EndOf(token);
  if (!next.finish) {
    TextPiece piece = text_.Add(token);
    next.event.text = std::move(piece.text);
    next.event.kind = piece.kind;
    if (text_.is_stopped()) next.finish = FinishReason::kStopString;
    calls_.Follow(token, text_);
  }
  if (!next.finish && constraint_ != nullptr) {
    FORGE_TRY(constraint_->Accept(token));
    if (!constraint_->CanContinue()) next.finish = FinishReason::kEndOfText;
  }
  if (!next.finish && n_output_ == request_.max_tokens) next.finish = FinishReason::kMaxTokens;
  if (!next.finish && sequence.size() + 1 >= limits_.context_length)
    next.finish = FinishReason::kContextFull;
  return next;
}

Result<TokenEvent> Turn::Choose(std::span<const float> logits, std::span<const TokenId> sequence) {
  const double log_sum_exp = LogSumExp(logits);
  if (!std::isfinite(log_sum_exp)) return NoNumbers("logits");
  TokenEvent event;
  FORGE_ASSIGN_OR_RETURN(event.token, Sample(logits, sequence));
  event.logprob = LogprobOf(logits[static_cast<size_t>(event.token)], log_sum_exp);
  if (request_.top_logprobs > 0)
    event.top_logprobs = TopLogprobs(logits, log_sum_exp, request_.top_logprobs);
  return event;
}

Result<TokenEvent> Turn::ChooseTop(const StepRow& row) {
  if (!std::isfinite(row.log_sum_exp)) return NoNumbers("logits");
  TokenEvent event;
  event.token = sampler_.SampleTop(row.values, row.tokens);
  const auto chosen = std::find(row.tokens.begin(), row.tokens.end(), event.token);
  const auto place = static_cast<size_t>(chosen - row.tokens.begin());
  event.logprob = LogprobOf(row.values[place], row.log_sum_exp);
  for (size_t i = 0; i < request_.top_logprobs; ++i)
    event.top_logprobs.push_back({row.tokens[i], LogprobOf(row.values[i], row.log_sum_exp)});
  return event;
}

Result<TokenId> Turn::Sample(std::span<const float> logits, std::span<const TokenId> sequence) {
  const TokenMask* allowed = calls_.AllowedTokens();
  if (constraint_ != nullptr) {
    FORGE_ASSIGN_OR_RETURN(allowed, constraint_->AllowedTokens());
  }
  return sampler_.Sample(logits, sequence, allowed);
}

std::optional<FinishReason> Turn::EndOf(TokenId token) const {
  const std::vector<TokenId>& stops = request_.stop_tokens;
  if (std::find(stops.begin(), stops.end(), token) != stops.end()) return FinishReason::kStopString;
  if (!request_.ignore_end && limits_.tokenizer->EndsGeneration(token))
    return FinishReason::kEndOfText;
  return std::nullopt;
}

GenerateUsage Turn::Usage(uint32_t context_used) const {
  const Clock::time_point now = Clock::now();
  GenerateUsage usage;
  usage.prompt_tokens = static_cast<uint32_t>(request_.prompt.size());
  usage.cached_tokens = n_cached_;
  usage.output_tokens = n_output_;
  usage.drafted_tokens = n_drafted_;
  usage.accepted_tokens = n_accepted_;
  usage.context_used = context_used;
  usage.queue_time = started_.value_or(now) - submitted_;
  if (started_) usage.prefill_time = first_token_.value_or(now) - *started_;
  if (first_token_) usage.decode_time = now - *first_token_;
  return usage;
}

}  // namespace forge
