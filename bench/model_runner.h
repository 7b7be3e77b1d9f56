#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "bench/op_profile.h"
#include "bench/speed_test.h"
#include "engine/runtime/engine.h"
#include "kernels/base/result.h"

namespace forge {

struct RunnerOptions {
  std::string model_path;
  int gpu = -1;                   // "hip:<gpu>"; -1: the CPU
  int n_threads = 0;              // 0: as the daemon would
  uint32_t n_batch = 512;         // most prompt tokens in a step
  uint32_t context_length = 512;  // tokens of each sequence
  uint32_t max_sequences = 1;
  KvDType kv_dtype = KvDType::kF16;
  // Times every op of what is measured, if given; it must outlive the runner.
  OpProfile* profile = nullptr;
};

// Runs one model in an engine of its own, through the facade that the daemon uses: what is measured
// holds scheduling, sampling and detokenisation too. Not thread-safe.
class ModelRunner {
 public:
  using Seconds = std::chrono::duration<double>;

  // Loads the model. Errors as Engine::Load.
  static Result<std::unique_ptr<ModelRunner>> Create(const RunnerOptions& options);

  const ModelFileInfo& info() const { return info_; }
  const std::string& device() const { return device_; }  // its description
  Seconds load_time() const { return load_time_; }

  // Runs one repetition with fresh random tokens, and returns how long the measured part took; of
  // several streams, the part in which all of them generate. kInvalidArgument for a prompt of 1
  // token at a depth, which the facade cannot separate, and for streams with a prompt to measure
  // or without tokens in the cache.
  Result<Seconds> Run(const SpeedTest& test);
  // The `n` most likely tokens after `prompt`, of each of `n_streams` equal sequences that run at
  // the same time.
  Result<std::vector<std::vector<TokenId>>> Greedy(const std::vector<TokenId>& prompt, uint32_t n,
                                                   uint32_t n_streams);
  // Random tokens of the vocabulary, the same for the same seed.
  std::vector<TokenId> RandomTokens(size_t n, uint64_t seed) const;

  // Takes the model out of memory; nothing can be run after that.
  Result<Seconds> Unload();

 private:
  class Window;
  class Sink;
  class Gate;

  ModelRunner() = default;
  Result<std::shared_ptr<Sink>> Submit(SessionId session, std::vector<TokenId> prompt,
                                       uint32_t n_gen, std::shared_ptr<Window> window);
  // The tokens of turns that begin in the same step, of one new session each.
  Result<std::vector<std::vector<TokenId>>> RunTogether(
      const std::vector<std::vector<TokenId>>& prompts, uint32_t n_tokens,
      const std::shared_ptr<Window>& window);
  Result<Seconds> RunInSession(const SpeedTest& test, SessionId session);
  Result<Seconds> RunStreams(const SpeedTest& test);

  OpProfile* profile_ = nullptr;  // of the engine's device, or null
  std::unique_ptr<Engine> engine_;
  ModelId model_ = 0;
  ModelFileInfo info_;
  std::string device_;
  Seconds load_time_{0};
  uint64_t n_runs_ = 0;
};

// The longest sequence that the tests make, in tokens, with prompts in chunks of n_batch.
uint32_t ContextFor(const std::vector<SpeedTest>& tests, uint32_t n_batch);
// The most sequences of a test.
uint32_t SequencesFor(const std::vector<SpeedTest>& tests);

// Whether a model's greedy tokens are the same computed in chunks of `options.n_batch` on
// `options.n_threads` threads, in four streams at once, and token by token on one thread. A speed
// of a model that fails is worth nothing. kDataLoss naming the first token that differs.
Status VerifyGreedy(RunnerOptions options);

}  // namespace forge
