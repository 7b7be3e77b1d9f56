#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "bench/speed_test.h"
#include "kernels/base/result.h"

namespace forge {

// One result of llama-bench -o json.
struct PeerResult {
  SpeedTest test;
  double tokens_per_second = 0;
  int n_threads = 0;
  std::string build;  // "build 11669 (Debian)"; llama-batched-bench does not say
};

// Reads llama-bench's JSON. kDataLoss saying what is wrong with it.
Result<std::vector<PeerResult>> ParsePeerResults(std::string_view json);

// Reads the lines of llama-batched-bench --output-format jsonl: generations of several streams.
Result<std::vector<PeerResult>> ParseBatchedPeerResults(std::string_view lines);

// The command line that measures `tests`, which share one depth, once each. In `command` {model} is
// the model's path, {dir} its folder and {name} its file name; if there is none of them, -m and the
// path are added. Paths are quoted for the shell.
std::string PeerCommandLine(std::string_view command, std::string_view model_path,
                            const std::vector<SpeedTest>& tests, int n_threads,
                            std::string_view extra_options);

// Likewise for llama-batched-bench and several streams, which share depth and length; with and
// without flash attention.
std::string BatchedPeerCommandLine(std::string_view command, std::string_view model_path,
                                   const std::vector<SpeedTest>& tests, int n_threads);

// Runs such a command, of one or of several streams, and gives the fastest result for each test.
// Blocks until it has ended. kFailedPrecondition with what the command printed last if it fails,
// kDataLoss if it leaves out a test.
Result<std::vector<PeerResult>> RunPeer(const std::string& command_line,
                                        const std::vector<SpeedTest>& tests);

}  // namespace forge
