#include "bench/model_runner.h"

#include <algorithm>
#include <future>
#include <optional>
#include <random>
#include <string>
#include <utility>

#include "bench/gpu.h"
#include "kernels/base/check.h"
#include "kernels/base/mutex.h"
#include "kernels/cpu/cpu_device.h"

namespace forge {
namespace {

using Clock = std::chrono::steady_clock;

constexpr uint32_t kVerifyPrompt = 40;
constexpr uint32_t kVerifyTokens = 24;
constexpr uint32_t kVerifyStreams = 4;

GenerateRequest GreedyRequest(std::vector<TokenId> prompt, uint32_t n_gen) {
  GenerateRequest request;
  request.prompt = std::move(prompt);
  request.max_tokens = n_gen;
  request.ignore_end = true;
  request.sampling.temperature = 0;
  return request;
}

// Prompts are computed in chunks, so streams begin one after another; the first goes on until the
// last has made its share. In how many steps at most all have begun: beside those that generate a
// step may take no more than 32 tokens of prompts.
uint32_t StepsOfPrompts(const SpeedTest& test, uint32_t n_batch) {
  const uint32_t chunk = std::min(n_batch, 32u);
  return (test.n_streams * test.n_depth + chunk - 1) / chunk;
}

std::string TokenText(const std::vector<TokenId>& tokens, size_t i) {
  return i < tokens.size() ? std::to_string(tokens[i]) : "none";
}

Status CompareTokens(const std::vector<TokenId>& expected, const std::vector<TokenId>& actual,
                     const std::string& what) {
  for (size_t i = 0; i < std::max(expected.size(), actual.size()); ++i) {
    if (TokenText(expected, i) == TokenText(actual, i)) continue;
    return DataLoss("greedy tokens differ: token " + std::to_string(i) + " is " +
                    TokenText(actual, i) + " " + what + ", but " + TokenText(expected, i) +
                    " when computed one by one on one thread");
  }
  return Status();
}

}  // namespace

// The part of a run that is measured, whose ops count: from the first token of its last stream on,
// or from now on, until that stream has n_gen tokens more than one. Tells of tokens come from the
// engine's thread, between two steps; the time is there when all streams have ended.
class ModelRunner::Window {
 public:
  enum class Start { kNow, kWhenAllGenerate };
  Window(OpProfile* profile, const SpeedTest& test, Start start)
      : profile_(profile), n_streams_(test.n_streams), n_gen_(test.n_gen) {
    if (start == Start::kNow) Begin();
  }
  // A stream has its n-th token, from 1 on.
  void OnToken(const void* stream, size_t n) {
    if (n == 1 && ++n_begun_ == n_streams_) {
      last_ = stream;
      if (!start_) Begin();
    }
    if (stream != last_ || n != n_gen_ + 1) return;
    end_ = Clock::now();
    if (profile_ != nullptr) profile_->Pause();
  }
  Seconds time() const { return end_ - start_.value(); }

 private:
  void Begin() {
    if (profile_ != nullptr) profile_->Resume();
    start_ = Clock::now();
  }

  OpProfile* const profile_;  // may be null
  const uint32_t n_streams_;
  const size_t n_gen_;
  uint32_t n_begun_ = 0;
  const void* last_ = nullptr;  // the stream that began last
  std::optional<Clock::time_point> start_;
  Clock::time_point end_;
};

// Takes a turn's tokens.
class ModelRunner::Sink final : public GenerationSink {
 public:
  explicit Sink(std::shared_ptr<Window> window) : window_(std::move(window)) {}
  void OnQueued(uint32_t) override {}
  void OnPromptProgress(uint32_t, uint32_t) override {}
  void OnToken(TokenEvent event) override {
    const MutexLock lock(mutex_);
    tokens_.push_back(event.token);
    if (window_ != nullptr) window_->OnToken(this, tokens_.size());
  }
  void OnFinished(const Status& status, FinishReason, std::string, const GenerateUsage&) override {
    {
      const MutexLock lock(mutex_);
      status_ = status;
      is_finished_ = true;
    }
    finished_.NotifyAll();
  }

  // Blocks until the turn has ended, and returns its tokens. An error of the turn, or kInternal if
  // it made fewer tokens than `n_tokens`.
  Result<std::vector<TokenId>> Wait(uint32_t n_tokens) {
    const MutexLock lock(mutex_);
    while (!is_finished_) finished_.Wait(mutex_);
    FORGE_TRY(status_);
    if (tokens_.size() < n_tokens)
      return Internal("the engine ended after " + std::to_string(tokens_.size()) + " of " +
                      std::to_string(n_tokens) + " tokens");
    return tokens_;
  }

 private:
  const std::shared_ptr<Window> window_;  // may be null
  Mutex mutex_;
  CondVar finished_;
  std::vector<TokenId> tokens_ FORGE_GUARDED_BY(mutex_);
  Status status_ FORGE_GUARDED_BY(mutex_);
  bool is_finished_ FORGE_GUARDED_BY(mutex_) = false;
};

// Holds up the engine while it exists, so that turns submitted meanwhile begin in the same step. A
// sink should not block; here nothing else runs in the engine.
class ModelRunner::Gate {
 public:
  ~Gate() { Open(); }
  std::shared_ptr<GenerationSink> sink() { return sink_; }
  void WaitUntilHeld() { sink_->held_.get_future().wait(); }
  void Open() {
    if (!std::exchange(is_open_, true)) sink_->opened_.set_value();
  }

 private:
  struct HoldingSink final : GenerationSink {
    void OnQueued(uint32_t) override {}
    void OnPromptProgress(uint32_t, uint32_t) override {}
    void OnToken(TokenEvent) override {}
    void OnFinished(const Status&, FinishReason, std::string, const GenerateUsage&) override {
      held_.set_value();
      opened_.get_future().wait();
    }
    std::promise<void> held_, opened_;
  };

  const std::shared_ptr<HoldingSink> sink_ = std::make_shared<HoldingSink>();
  bool is_open_ = false;
};

Result<std::unique_ptr<ModelRunner>> ModelRunner::Create(const RunnerOptions& options) {
  std::unique_ptr<ModelRunner> runner(new ModelRunner);
  FORGE_ASSIGN_OR_RETURN(
      std::unique_ptr<Device> device,
      options.gpu >= 0 ? OpenGpu(options.gpu) : CreateCpuDevice({.n_threads = options.n_threads}));
  runner->profile_ = options.profile;
  runner->device_ = device->info().description;
  if (options.profile != nullptr) device = options.profile->Wrap(std::move(device));
  EngineOptions engine_options;
  engine_options.shares_prefixes = false;  // every prompt is computed
  engine_options.devices.push_back(std::move(device));
  engine_options.policy.free_fraction = 1.0;  // no desktop to spare
  FORGE_ASSIGN_OR_RETURN(runner->engine_, Engine::Create(std::move(engine_options)));
  const Clock::time_point start = Clock::now();
  FORGE_ASSIGN_OR_RETURN(runner->model_,
                         runner->engine_->Load(options.model_path, "",
                                               {.context_length = options.context_length,
                                                .max_sequences = options.max_sequences,
                                                .prefill_chunk = options.n_batch,
                                                .kv_dtype = options.kv_dtype},
                                               nullptr));
  runner->load_time_ = Clock::now() - start;
  FORGE_ASSIGN_OR_RETURN(const ModelStatus status, runner->engine_->GetModel(runner->model_));
  runner->info_ = status.info;
  return runner;
}

Result<ModelRunner::Seconds> ModelRunner::Unload() {
  const Clock::time_point start = Clock::now();
  FORGE_TRY(engine_->Unload(model_).status());
  return Seconds(Clock::now() - start);
}

std::vector<TokenId> ModelRunner::RandomTokens(size_t n, uint64_t seed) const {
  std::mt19937_64 random(seed);
  std::vector<TokenId> tokens(n);
  for (TokenId& token : tokens) token = static_cast<TokenId>(random() % info_.n_vocab);
  return tokens;
}

Result<std::shared_ptr<ModelRunner::Sink>> ModelRunner::Submit(SessionId session,
                                                               std::vector<TokenId> prompt,
                                                               uint32_t n_gen,
                                                               std::shared_ptr<Window> window) {
  auto sink = std::make_shared<Sink>(std::move(window));
  FORGE_TRY(engine_->Submit(session, GreedyRequest(std::move(prompt), n_gen), sink));
  return sink;
}

Result<ModelRunner::Seconds> ModelRunner::Run(const SpeedTest& test) {
  if (test.n_streams > 1) return RunStreams(test);
  if (test.n_depth > 0 && test.n_prompt == 1)
    return InvalidArgument("a prompt of 1 token cannot be measured at a depth; use 2 or more");
  FORGE_ASSIGN_OR_RETURN(const SessionId session, engine_->OpenSession(model_));
  Result<Seconds> time = RunInSession(test, session);
  engine_->CloseSession(session);
  return time;
}

// A turn's first token comes out of the prompt's last step, so n_gen steps of one token each are
// between it and token n_gen + 1. A token that a turn generated last enters the cache with the next
// turn, which is why a prompt at a depth is one token shorter than what is computed for it.
Result<ModelRunner::Seconds> ModelRunner::RunInSession(const SpeedTest& test, SessionId session) {
  const bool has_depth_turn = test.n_depth > 0 && test.n_prompt > 0;
  if (has_depth_turn) {
    FORGE_ASSIGN_OR_RETURN(const auto sink,
                           Submit(session, RandomTokens(test.n_depth, ++n_runs_), 1, nullptr));
    FORGE_TRY(sink->Wait(1).status());
  }
  const uint32_t n_prompt = has_depth_turn      ? test.n_prompt - 1
                            : test.n_prompt > 0 ? test.n_prompt
                                                : std::max(1u, test.n_depth);
  const uint32_t n_tokens = test.n_gen + 1;
  const std::vector<TokenId> prompt = RandomTokens(n_prompt, ++n_runs_);
  const auto window = std::make_shared<Window>(
      profile_, test, test.n_prompt > 0 ? Window::Start::kNow : Window::Start::kWhenAllGenerate);
  FORGE_ASSIGN_OR_RETURN(const auto sink, Submit(session, prompt, n_tokens, window));
  FORGE_TRY(sink->Wait(n_tokens).status());
  return window->time();
}

Result<std::vector<std::vector<TokenId>>> ModelRunner::RunTogether(
    const std::vector<std::vector<TokenId>>& prompts, uint32_t n_tokens,
    const std::shared_ptr<Window>& window) {
  FORGE_ASSIGN_OR_RETURN(const SessionId gate_session, engine_->OpenSession(model_));
  Gate gate;
  FORGE_TRY(engine_->Submit(gate_session, GreedyRequest({0}, 1), gate.sink()));
  gate.WaitUntilHeld();
  std::vector<SessionId> sessions;
  std::vector<std::shared_ptr<Sink>> sinks;
  for (const std::vector<TokenId>& prompt : prompts) {
    FORGE_ASSIGN_OR_RETURN(const SessionId session, engine_->OpenSession(model_));
    sessions.push_back(session);
    FORGE_ASSIGN_OR_RETURN(const auto sink, Submit(session, prompt, n_tokens, window));
    sinks.push_back(sink);
  }
  gate.Open();
  std::vector<std::vector<TokenId>> answers;
  for (const auto& sink : sinks) {
    FORGE_ASSIGN_OR_RETURN(std::vector<TokenId> answer, sink->Wait(n_tokens));
    answers.push_back(std::move(answer));
  }
  for (const SessionId session : sessions) engine_->CloseSession(session);
  engine_->CloseSession(gate_session);
  return answers;
}

Result<ModelRunner::Seconds> ModelRunner::RunStreams(const SpeedTest& test) {
  if (test.n_prompt > 0 || test.n_gen == 0 || test.n_depth == 0)
    return InvalidArgument("streams are measured generating, after a prompt that is not: " +
                           test.Name());
  std::vector<std::vector<TokenId>> prompts;
  for (uint32_t i = 0; i < test.n_streams; ++i)
    prompts.push_back(RandomTokens(test.n_depth, ++n_runs_));
  const uint32_t n_tokens = test.n_gen + StepsOfPrompts(test, info_.prefill_chunk) + 1;
  // From the last stream's first token on, every step gives a token to all.
  const auto window = std::make_shared<Window>(profile_, test, Window::Start::kWhenAllGenerate);
  FORGE_TRY(RunTogether(prompts, n_tokens, window).status());
  return window->time();
}

Result<std::vector<std::vector<TokenId>>> ModelRunner::Greedy(const std::vector<TokenId>& prompt,
                                                              uint32_t n, uint32_t n_streams) {
  return RunTogether(std::vector(n_streams, prompt), n, nullptr);
}

uint32_t ContextFor(const std::vector<SpeedTest>& tests, uint32_t n_batch) {
  uint32_t context = kVerifyPrompt + kVerifyTokens;
  // One for the token that follows the last one measured, one for the prompt of a pure generation.
  for (const SpeedTest& test : tests)
    context = std::max(context, test.n_depth + test.n_prompt + test.n_gen + 3 +
                                    (test.n_streams > 1 ? StepsOfPrompts(test, n_batch) : 0));
  return context;
}

uint32_t SequencesFor(const std::vector<SpeedTest>& tests) {
  uint32_t n_sequences = 1;
  for (const SpeedTest& test : tests) n_sequences = std::max(n_sequences, test.n_streams);
  return n_sequences;
}

Status VerifyGreedy(RunnerOptions options) {
  options.context_length = std::max(options.context_length, kVerifyPrompt + kVerifyTokens + 1);
  options.max_sequences = kVerifyStreams;
  options.profile = nullptr;
  RunnerOptions reference_options = options;
  reference_options.n_threads = 1;
  reference_options.n_batch = 1;
  std::vector<TokenId> prompt, expected;
  {
    FORGE_ASSIGN_OR_RETURN(const auto reference, ModelRunner::Create(reference_options));
    prompt = reference->RandomTokens(kVerifyPrompt, /*seed=*/0);
    FORGE_ASSIGN_OR_RETURN(const auto answers, reference->Greedy(prompt, kVerifyTokens, 1));
    expected = answers[0];
  }
  FORGE_ASSIGN_OR_RETURN(const auto runner, ModelRunner::Create(options));
  for (const uint32_t n_streams : {1u, kVerifyStreams}) {
    FORGE_ASSIGN_OR_RETURN(const auto answers, runner->Greedy(prompt, kVerifyTokens, n_streams));
    for (const std::vector<TokenId>& answer : answers)
      FORGE_TRY(CompareTokens(
          expected, answer,
          "in " + std::to_string(n_streams) + (n_streams == 1 ? " stream" : " streams at once")));
  }
  return Status();
}

}  // namespace forge
