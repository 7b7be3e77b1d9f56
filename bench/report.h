#pragma once

#include <string>
#include <vector>

#include "bench/model_cost.h"
#include "bench/op_profile.h"
#include "bench/probes.h"
#include "bench/speed_test.h"
#include "engine/runtime/engine.h"

namespace forge {

// The repetitions of one test.
struct TestReport {
  SpeedTest test;
  std::vector<double> seconds;  // of each repetition
  MachineLimits limits;         // measured just before
  std::vector<OpRecord> ops;    // of all repetitions; empty unless asked for
};

struct LoadReport {
  std::vector<double> load_seconds;    // into empty memory
  std::vector<double> switch_seconds;  // the model before goes, this one comes and answers a token
};

// All that was measured of one model.
struct SpeedReport {
  std::string path;
  ModelFileInfo info;
  ModelCost cost;
  bool is_gpu = false;
  std::string device;  // as it describes itself: a CPU with instruction set and threads
  int n_threads = 0;
  uint32_t n_batch = 0;
  std::vector<TestReport> tests;
  std::vector<TestReport> streams;  // any number at once
  LoadReport load;
};

// JSON with the field names of llama-bench -o json for what it measures too; see
// docs/measuring.md for the others.
std::string ReportJson(const std::vector<SpeedReport>& models);
// Tables for a terminal, valid Markdown.
std::string ReportText(const std::vector<SpeedReport>& models);

}  // namespace forge
