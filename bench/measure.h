#pragma once

#include <string>
#include <vector>

#include "bench/report.h"
#include "bench/speed_test.h"
#include "kernels/base/result.h"

namespace forge {

struct MeasureOptions {
  std::vector<std::string> models;
  std::vector<SpeedTest> tests;    // of one stream
  std::vector<SpeedTest> streams;  // of any number of them
  bool has_ops = false;
  bool has_load = false;
  int gpu = -1;          // "hip:<gpu>"; -1: the CPU
  bool verifies = true;  // that tokens do not depend on what runs beside them
  int n_threads = 0;     // 0: as the daemon would
  uint32_t n_batch = 512;
  KvDType kv_dtype = KvDType::kF16;
  int repetitions = 5;
};

// Measures one model: greedy tokens are verified first, and every test runs once before it counts.
// Errors as VerifyGreedy and ModelRunner. Blocks.
Result<SpeedReport> MeasureModel(const std::string& path, const MeasureOptions& options);

// Loads the models of `reports` in turn, each after the one before was unloaded, and fills in the
// times.
Status MeasureLoads(const MeasureOptions& options, std::vector<SpeedReport>& reports);

}  // namespace forge
