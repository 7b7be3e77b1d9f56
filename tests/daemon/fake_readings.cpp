#include <algorithm>

#include "tests/daemon/fake_engine.h"

// The reports, activity and readings of FakeEngine: token t has the log-probability -t / 8,
// whatever precedes it, and the embedding of a text is the number of its tokens and their sum.

namespace forge::testing {

Result<ModelReport> FakeEngine::Report(const std::string& path, const std::string& device,
                                       const LoadOptions& options) {
  FORGE_ASSIGN_OR_RETURN(const ModelFileInfo info, Inspect(path, device, options));
  ModelReport report;
  report.special_tokens.push_back({"bos", kBos, "<s>", true});
  report.chat_template_source = "{{ messages \xff}}";
  report.context_plans.push_back({2048, info.weights_bytes, 1000, 100, true});
  report.largest_context_length = 3000;
  return report;
}

std::vector<ModelActivity> FakeEngine::Activity() const {
  const MutexLock lock(mutex_);
  std::vector<ModelActivity> all;
  for (const auto& [id, info] : models_) {
    const ModelStatus status = StatusOf(id, info);
    all.push_back({id, status.slots_busy, status.queued, status.slots_busy > 0 ? 0.25 : 0.0});
  }
  return all;
}

EmbedRequest FakeEngine::last_embed_request() const {
  const MutexLock lock(mutex_);
  return last_embed_request_;
}

Status FakeEngine::Score(SessionId session, ScoreRequest request, std::shared_ptr<ScoreSink> sink) {
  const auto n_tokens = static_cast<uint32_t>(request.tokens.size());
  auto deliver_next = [sink, request = std::move(request), next = size_t{1}]() mutable {
    if (next >= request.tokens.size()) return false;
    TokenScore score = {
        request.tokens[next], -0.125f * static_cast<float>(request.tokens[next]), {}};
    for (uint32_t i = 0; i < request.top_logprobs; ++i)
      score.top_logprobs.push_back({static_cast<TokenId>(i % 26), -static_cast<float>(i)});
    ++next;
    sink->OnScores({std::move(score)});
    return true;
  };
  return StartReading(session, {sink, std::move(deliver_next), n_tokens});
}

Status FakeEngine::Embed(SessionId session, EmbedRequest request,
                         std::shared_ptr<EmbeddingSink> sink) {
  {
    const MutexLock lock(mutex_);
    last_embed_request_ = request;
  }
  const auto n_tokens = static_cast<uint32_t>(request.tokens.size());
  auto deliver_next = [sink, request = std::move(request), done = false]() mutable {
    if (std::exchange(done, true)) return false;
    float sum = 0.0f;
    for (const TokenId token : request.tokens) sum += static_cast<float>(token);
    sink->OnEmbedding({static_cast<float>(request.tokens.size()), sum});
    return true;
  };
  return StartReading(session, {sink, std::move(deliver_next), n_tokens});
}

Status FakeEngine::StartReading(SessionId session, Reading reading) {
  const MutexLock lock(mutex_);
  FORGE_TRY(submit_failure_);
  const auto found = sessions_.find(session);
  if (found == sessions_.end()) return NotFound("no session").WithReason("SESSION_NOT_FOUND");
  found->second.reading = std::move(reading);
  changed_.NotifyAll();
  return Status();
}

void FakeEngine::StepReadings() {
  std::deque<std::pair<Reading, Status>> orphans;
  std::vector<std::pair<SessionId, Reading>> readings;
  Status failure;
  {
    const MutexLock lock(mutex_);
    orphans.swap(orphan_readings_);
    failure = turn_failure_;
    for (const auto& [id, session] : sessions_) {
      if (session.reading) readings.emplace_back(id, *session.reading);
    }
  }
  for (const auto& [reading, status] : orphans)
    reading.sink->OnFinished(status.ok() ? Cancelled("closed") : status, {});
  for (auto& [id, reading] : readings) {
    if (reading.cancelled) {
      EndReading(id, Cancelled("cancelled"));
    } else if (reading.deliver_next()) {
      const MutexLock lock(mutex_);
      const auto found = sessions_.find(id);
      if (found != sessions_.end()) found->second.reading->deliver_next = reading.deliver_next;
      ++progress_.steps;
    } else {
      EndReading(id, failure);
    }
  }
}

void FakeEngine::EndReading(SessionId id, const Status& status) {
  std::optional<Reading> reading;
  {
    const MutexLock lock(mutex_);
    const auto found = sessions_.find(id);
    if (found == sessions_.end() || !found->second.reading) return;
    reading = std::exchange(found->second.reading, std::nullopt);
  }
  GenerateUsage usage;
  usage.prompt_tokens = usage.context_used = reading->n_tokens;
  usage.prefill_time = std::chrono::milliseconds(1500);
  Finish([&] { reading->sink->OnFinished(status, usage); });
}

void FakeEngine::Orphan(Session& session, const Status& status) {
  if (session.turn) orphans_.push_back({*std::move(session.turn), status});
  if (session.reading) orphan_readings_.push_back({*std::move(session.reading), status});
}

}  // namespace forge::testing
