#include "bench/comparison.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <thread>
#include <tuple>
#include <utility>

#include "bench/model_runner.h"
#include "bench/peer_bench.h"

namespace forge {
namespace {

// Threads that compete for the processors.
class BusyThreads {
 public:
  explicit BusyThreads(int n) {
    for (int i = 0; i < n; ++i)
      threads_.emplace_back([this] {
        while (!stop_.load(std::memory_order_relaxed)) {
        }
      });
  }
  ~BusyThreads() {
    stop_.store(true);
    for (std::thread& thread : threads_) thread.join();
  }
  BusyThreads(const BusyThreads&) = delete;
  BusyThreads& operator=(const BusyThreads&) = delete;

 private:
  std::atomic<bool> stop_ = false;
  std::vector<std::thread> threads_;
};

class Rounds {
 public:
  Rounds(const std::string& path, const std::vector<SpeedTest>& tests,
         const ComparisonOptions& options, ModelRunner& runner, Probes& probes)
      : path_(path), options_(options), runner_(runner), probes_(probes) {
    for (const SpeedTest& test : tests) {
      comparison_.tests.push_back({.test = test});
      const bool is_batched = test.n_streams > 1;
      groups_[{is_batched, test.n_depth, is_batched ? test.n_gen : 0}].push_back(
          comparison_.tests.size() - 1);
    }
  }

  Status Run() {
    FORGE_TRY(RunOurs(/*counts=*/false));
    FORGE_TRY(RunTheirs(/*counts=*/false));
    for (int round = 0; round < options_.rounds; ++round) {
      const bool ours_first = round % 2 == 0;
      if (ours_first) FORGE_TRY(RunOurs(true));
      FORGE_TRY(RunTheirs(true));
      if (!ours_first) FORGE_TRY(RunOurs(true));
      Report(round);
    }
    return Status();
  }

  Comparison Take() { return std::move(comparison_); }

 private:
  Status RunOurs(bool counts) {
    for (ComparedTest& compared : comparison_.tests) {
      const double read_gbs = probes_.MeasureRead();
      FORGE_ASSIGN_OR_RETURN(const ModelRunner::Seconds time, runner_.Run(compared.test));
      if (!counts) continue;
      compared.ours.push_back(compared.test.n_tokens() / time.count());
      compared.read_gbs.push_back(read_gbs);
      comparison_.read_max = std::max(comparison_.read_max, read_gbs);
      comparison_.read_min =
          comparison_.read_min == 0 ? read_gbs : std::min(comparison_.read_min, read_gbs);
    }
    return Status();
  }

  Status RunTheirs(bool counts) {
    for (const auto& [key, indices] : groups_) {
      std::vector<SpeedTest> tests;
      for (const size_t index : indices) tests.push_back(comparison_.tests[index].test);
      const std::string command_line =
          tests[0].n_streams > 1
              ? BatchedPeerCommandLine(options_.batched_peer, path_, tests, options_.n_peer_threads)
              : PeerCommandLine(options_.peer, path_, tests, options_.n_peer_threads,
                                options_.peer_options);
      FORGE_ASSIGN_OR_RETURN(const std::vector<PeerResult> results, RunPeer(command_line, tests));
      if (!results[0].build.empty()) comparison_.peer_build = results[0].build;
      if (!counts) continue;
      for (size_t i = 0; i < indices.size(); ++i)
        comparison_.tests[indices[i]].theirs.push_back(results[i].tokens_per_second);
    }
    return Status();
  }

  void Report(int round) const {
    if (!options_.progress) return;
    std::string line = "round " + std::to_string(round + 1) + ":";
    for (const ComparedTest& compared : comparison_.tests)
      line += " " + compared.test.Name() + " " + std::to_string(compared.ours.back()) + " / " +
              std::to_string(compared.theirs.back());
    options_.progress(line);
  }

  const std::string& path_;
  const ComparisonOptions& options_;
  ModelRunner& runner_;
  Probes& probes_;
  Comparison comparison_;
  // Indices of the tests that one call of the peer measures: of several streams or not, depth, and
  // what streams generate.
  std::map<std::tuple<bool, uint32_t, uint32_t>, std::vector<size_t>> groups_;
};

}  // namespace

Result<Comparison> Compare(const std::string& model_path, const std::vector<SpeedTest>& tests,
                           const ComparisonOptions& options) {
  if (tests.empty()) return InvalidArgument("there is no test to compare");
  for (const SpeedTest& test : tests) {
    const bool is_batched = test.n_streams > 1;
    if ((is_batched ? options.batched_peer : options.peer).empty())
      return InvalidArgument(test.Name() + " is compared with " +
                             (is_batched ? "--batched-peer" : "--peer") + ", which is not given");
  }
  if (options.rounds < 1)
    return InvalidArgument("a comparison needs a round, not " + std::to_string(options.rounds));
  const RunnerOptions runner_options = {.model_path = model_path,
                                        .n_threads = options.n_threads,
                                        .n_batch = options.n_batch,
                                        .context_length = ContextFor(tests, options.n_batch),
                                        .max_sequences = SequencesFor(tests)};
  RunnerOptions verify_options = runner_options;
  verify_options.context_length = 0;
  FORGE_TRY(VerifyGreedy(verify_options));
  FORGE_ASSIGN_OR_RETURN(const auto runner, ModelRunner::Create(runner_options));
  FORGE_ASSIGN_OR_RETURN(const auto probes, Probes::Create(options.n_threads));
  const BusyThreads busy(options.n_busy_threads);
  Rounds rounds(model_path, tests, options, *runner, *probes);
  FORGE_TRY(rounds.Run());
  return rounds.Take();
}

}  // namespace forge
