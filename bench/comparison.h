#pragma once

#include <functional>
#include <string>
#include <vector>

#include "bench/probes.h"
#include "bench/speed_test.h"
#include "bench/statistics.h"
#include "kernels/base/result.h"

namespace forge {

struct ComparisonOptions {
  std::string peer;          // see PeerCommandLine
  std::string peer_options;  // "-fa 0,1": the faster of the results counts
  std::string batched_peer;  // see BatchedPeerCommandLine; needed by tests of several streams
  int n_threads = 2;
  int n_peer_threads = 2;
  int n_busy_threads = 0;  // threads that do nothing but take processor time meanwhile
  uint32_t n_batch = 512;
  int rounds = 5;
  std::function<void(const std::string&)> progress;  // may be empty
};

// The rounds of one test: tokens per second of both sides.
struct ComparedTest {
  SpeedTest test;
  std::vector<double> ours = {}, theirs = {};
  std::vector<double> read_gbs = {};  // the read probe beside ours, in each round

  RatioInterval Ratio() const { return PairedRatio(ours, theirs); }
};

struct Comparison {
  std::vector<ComparedTest> tests;
  std::string peer_build;             // empty if all tests are of several streams
  double read_min = 0, read_max = 0;  // GB/s of all rounds
};

// Runs our engine and the peer alternately over one file, after a round that does not count, each
// side first in every other round. Greedy tokens are verified before (VerifyGreedy): no speed for a
// model whose answers depend on how they are computed. Blocks for minutes.
Result<Comparison> Compare(const std::string& model_path, const std::vector<SpeedTest>& tests,
                           const ComparisonOptions& options);

}  // namespace forge
