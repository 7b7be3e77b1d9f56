#include "bench/measure.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <utility>

#include "bench/gpu.h"
#include "bench/model_runner.h"
#include "kernels/cpu/cpu_features.h"
#include "kernels/cpu/host_memory.h"

namespace forge {
namespace {

using Seconds = ModelRunner::Seconds;

// Runs the tests, of one stream or of several, and adds what they gave to `reports`, a list of
// `report`.
Status MeasureTests(const std::vector<SpeedTest>& tests, const MeasureOptions& options,
                    RunnerOptions runner_options, Probes& probes, SpeedReport& report,
                    std::vector<TestReport>& reports) {
  std::optional<OpProfile> profile;
  if (options.has_ops) runner_options.profile = &profile.emplace();
  runner_options.max_sequences = SequencesFor(tests);
  runner_options.context_length = ContextFor(tests, options.n_batch);
  FORGE_ASSIGN_OR_RETURN(const auto runner, ModelRunner::Create(runner_options));
  report.info = runner->info();
  MachineLimits gpu_limits;
  if (report.is_gpu) {
    report.device = runner->device();
    FORGE_ASSIGN_OR_RETURN(gpu_limits.read_gbs, MeasureGpuCopyRate(options.gpu));
    FORGE_ASSIGN_OR_RETURN(gpu_limits.bf16_gflops, MeasureGpuMatrixRate(options.gpu));
  }
  for (const SpeedTest& test : tests) {
    FORGE_TRY(runner->Run(test).status());
    TestReport& measured = reports.emplace_back();
    measured.test = test;
    measured.limits = report.is_gpu ? gpu_limits : probes.Measure();
    if (profile) profile->Reset();
    for (int i = 0; i < options.repetitions; ++i) {
      FORGE_ASSIGN_OR_RETURN(const Seconds time, runner->Run(test));
      measured.seconds.push_back(time.count());
    }
    if (profile) measured.ops = profile->Records();
  }
  return Status();
}

}  // namespace

Result<SpeedReport> MeasureModel(const std::string& path, const MeasureOptions& options) {
  SpeedReport report;
  report.path = path;
  report.n_batch = options.n_batch;
  FORGE_ASSIGN_OR_RETURN(report.cost, ReadModelCost(path));
  FORGE_ASSIGN_OR_RETURN(const auto probes, Probes::Create(options.n_threads));
  report.n_threads = probes->n_threads();
  FORGE_ASSIGN_OR_RETURN(const CpuLevel level, Result<CpuLevel>(CpuLevelInUse()));
  report.is_gpu = options.gpu >= 0;
  report.device = ReadCpuName() + ", " + std::string(CpuLevelName(level)) + ", " +
                  std::to_string(report.n_threads) +
                  (report.n_threads == 1 ? " thread" : " threads");
  const RunnerOptions runner_options = {.model_path = path,
                                        .gpu = options.gpu,
                                        .n_threads = options.n_threads,
                                        .n_batch = options.n_batch,
                                        .kv_dtype = options.kv_dtype};
  if (options.tests.empty() && options.streams.empty()) return report;
  if (options.verifies) FORGE_TRY(VerifyGreedy(runner_options));
  for (const auto& [tests, reports] :
       {std::pair(&options.tests, &report.tests), std::pair(&options.streams, &report.streams)})
    if (!tests->empty())
      FORGE_TRY(MeasureTests(*tests, options, runner_options, *probes, report, *reports));
  return report;
}

Status MeasureLoads(const MeasureOptions& options, std::vector<SpeedReport>& reports) {
  std::unique_ptr<ModelRunner> previous;
  for (int i = 0; i < options.repetitions; ++i) {
    for (SpeedReport& report : reports) {
      const auto start = std::chrono::steady_clock::now();
      const bool is_switch = previous != nullptr;
      if (is_switch) FORGE_TRY(previous->Unload().status());
      FORGE_ASSIGN_OR_RETURN(previous, ModelRunner::Create({.model_path = report.path,
                                                            .gpu = options.gpu,
                                                            .n_threads = options.n_threads,
                                                            .n_batch = options.n_batch}));
      FORGE_TRY(previous->Run({.n_prompt = 1}).status());
      const Seconds time = std::chrono::steady_clock::now() - start;
      report.info = previous->info();
      report.load.load_seconds.push_back(previous->load_time().count());
      if (is_switch) report.load.switch_seconds.push_back(time.count());
    }
  }
  return Status();
}

}  // namespace forge
