#include "bench/floor_table.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <iterator>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "bench/model_cost.h"
#include "bench/table_writer.h"
#include "kernels/formats/format.h"
#include "tools/synth/synth_model.h"

namespace forge {
namespace {

constexpr std::string_view kSmallModel = "stories260K";

constexpr int kThreads = 2;  // of both sides, unless a case says otherwise

// One line of the table. Cases of a file with the same threads are measured in one run.
struct Case {
  std::string_view shape;  // or kSmallModel
  std::string_view type;
  SpeedTest test;
  double floor, aim;       // of the ratio to the peer
  double share_floor = 0;  // of the read probe; 0: none
  int n_threads = kThreads, n_peer_threads = kThreads, n_busy_threads = 0;
  bool is_short = false;  // few layers, all matrices in one format
};

constexpr SpeedTest kPrompt = {.n_prompt = 512};
constexpr SpeedTest kGen = {.n_gen = 64};
constexpr SpeedTest kDeep = {.n_gen = 32, .n_depth = 4096};
constexpr SpeedTest Streams(uint32_t n) {
  return {.n_gen = kStreamGen, .n_depth = kStreamDepth, .n_streams = n};
}

constexpr Case kCases[] = {
    {"llama-3.2-1b", "Q4_K", kGen, 1.25, 1.4, 0.85},
    {"llama-3.2-1b", "Q4_K", kPrompt, 2.3, 2.9},
    {"llama-3.2-1b", "Q4_K", kDeep, 1.5, 1.7},
    {.shape = "llama-3.2-1b",
     .type = "Q4_K",
     .test = kGen,
     .floor = 2.0,
     .aim = 2.0,
     .n_busy_threads = 1},
    {.shape = "llama-3.2-1b",
     .type = "Q4_K",
     .test = kGen,
     .floor = 0.95,
     .aim = 1.0,
     .n_peer_threads = 1,
     .n_busy_threads = 1},
    {"llama-3.2-1b", "Q4_K", Streams(8), 3.0, 4.0},
    {"llama-3.2-1b", "Q4_K", Streams(16), 3.0, 4.0},
    {"llama-3.2-1b", "Q4_K", Streams(32), 3.5, 4.5},
    {"llama-3.2-1b", "Q4_0", kGen, 1.25, 1.4},
    {"llama-3.2-1b", "Q4_0", kPrompt, 2.0, 2.4},
    {"llama-3.2-1b", "Q5_K", kGen, 1.35, 1.5},
    {"llama-3.2-1b", "Q5_K", kPrompt, 6.0, 8.0},
    {"llama-3.2-1b", "Q6_K", kGen, 1.25, 1.4, 0.85},
    {"llama-3.2-1b", "Q6_K", kPrompt, 5.0, 6.5},
    {"llama-3.2-1b", "Q8_0", kGen, 1.1, 1.25, 0.85},
    {"llama-3.2-1b", "Q8_0", kPrompt, 3.5, 4.5},
    {"llama-3.2-1b", "F16", kGen, 1.0, 1.05},
    {"llama-3.2-1b", "F16", kPrompt, 1.8, 2.2},
    {"qwen2.5-0.5b", "Q4_K_M", kGen, 1.4, 1.6},
    {"qwen2.5-0.5b", "Q4_K_M", kPrompt, 3.0, 4.5},
    {"qwen2.5-0.5b", "Q8_0", kGen, 1.35, 1.5},
    {"qwen2.5-0.5b", "Q8_0", kPrompt, 3.0, 4.5},
    {"qwen2.5-0.5b", "Q4_0", kGen, 1.2, 1.3},
    {"qwen2.5-0.5b", "Q4_0", kPrompt, 1.3, 1.6},
    {.shape = kSmallModel,
     .type = "",
     .test = {.n_gen = 256},
     .floor = 1.5,
     .aim = 2.0,
     .n_threads = 1,
     .n_peer_threads = 1},
};

constexpr uint32_t kShortLayers = 4;

// Every format by every kind of step. No one has said by how much these are to be faster.
std::vector<Case> FormatCases(int n_threads) {
  const SpeedTest tests[] = {{.n_prompt = 64}, {.n_gen = 16}, Streams(2),
                             Streams(4),       Streams(8),    Streams(16)};
  std::vector<Case> cases;
  for (const FormatInfo& format : KnownFormats())
    for (const SpeedTest& test : tests)
      cases.push_back({.shape = "llama-3.2-1b",
                       .type = format.name,
                       .test = test,
                       .floor = 1.0,
                       .aim = 1.0,
                       .n_threads = n_threads,
                       .n_peer_threads = n_threads,
                       .is_short = true});
  return cases;
}

std::string CaseName(const Case& c) {
  std::string name = std::string(c.shape) + (c.type.empty() ? "" : " ") + std::string(c.type) +
                     " " + c.test.Name();
  if (c.n_busy_threads > 0)
    name += ", a busy thread beside, peer -t " + std::to_string(c.n_peer_threads);
  else if (c.n_threads != kThreads)
    name += ", " + std::to_string(c.n_threads) + (c.n_threads == 1 ? " thread" : " threads");
  return name;
}

bool IsSameFile(const Case& a, const Case& b) { return a.shape == b.shape && a.type == b.type; }
bool IsSameRun(const Case& a, const Case& b) {
  return IsSameFile(a, b) && a.n_threads == b.n_threads && a.n_peer_threads == b.n_peer_threads &&
         a.n_busy_threads == b.n_busy_threads && (a.test.n_streams > 1) == (b.test.n_streams > 1);
}

// The middle of the rounds' shares of the read probe.
double ReadShare(const ComparedTest& compared, const ModelCost& cost) {
  std::vector<double> shares;
  for (size_t i = 0; i < compared.ours.size(); ++i)
    shares.push_back(1e-9 * compared.ours[i] * cost.BytesPerToken(compared.test) /
                     compared.read_gbs[i]);
  std::nth_element(shares.begin(), shares.begin() + static_cast<long>(shares.size() / 2),
                   shares.end());
  return shares[shares.size() / 2];
}

class TableRun {
 public:
  explicit TableRun(const FloorTableOptions& options)
      : options_(options),
        table_({"case", "floor", "aim", "ours", "peer", "ratio", "90 % interval", "of read probe",
                "verdict"}) {}

  Status RunFile(const std::vector<Case>& cases) {
    FORGE_ASSIGN_OR_RETURN(const std::string path, MakeFile(cases[0]));
    FORGE_ASSIGN_OR_RETURN(const ModelCost cost, ReadModelCost(path));
    Status status;
    for (size_t begin = 0; begin < cases.size() && status.ok();) {
      size_t end = begin;
      while (end < cases.size() && IsSameRun(cases[begin], cases[end])) ++end;
      status = RunCases(
          {cases.begin() + static_cast<long>(begin), cases.begin() + static_cast<long>(end)}, path,
          cost);
      begin = end;
    }
    if (cases[0].shape != kSmallModel && !options_.keeps_files) {
      std::error_code ignored;  // a file left behind is no reason to lose the figures
      std::filesystem::remove(path, ignored);
    }
    return status;
  }

  FloorTable Take() const { return {table_.Text(), n_below_}; }

 private:
  Result<std::string> MakeFile(const Case& c) const {
    if (c.shape == kSmallModel) return options_.small_model;
    const SynthOptions synth = {.shape = std::string(c.shape),
                                .type = std::string(c.type),
                                .is_pure = c.is_short,
                                .n_layers = c.is_short ? kShortLayers : 0};
    const std::string path =
        (std::filesystem::path(options_.folder) /
         (synth.shape + "-" + synth.type + (c.is_short ? "-short.gguf" : ".gguf")))
            .string();
    FORGE_ASSIGN_OR_RETURN(const SynthModel model, PlanSynthModel(synth));
    FORGE_TRY(WriteSynthModel(model, synth, path));
    return path;
  }

  Status RunCases(const std::vector<Case>& cases, const std::string& path, const ModelCost& cost) {
    ComparisonOptions comparison = options_.comparison;
    comparison.n_threads = cases[0].n_threads;
    comparison.n_peer_threads = cases[0].n_peer_threads;
    comparison.n_busy_threads = cases[0].n_busy_threads;
    std::vector<SpeedTest> tests;
    for (const Case& c : cases) tests.push_back(c.test);
    if (comparison.progress) comparison.progress(CaseName(cases[0]) + ":");
    FORGE_ASSIGN_OR_RETURN(const Comparison result, Compare(path, tests, comparison));
    for (size_t i = 0; i < cases.size(); ++i) AddRow(cases[i], result.tests[i], cost);
    return Status();
  }

  void AddRow(const Case& c, const ComparedTest& compared, const ModelCost& cost) {
    const RatioInterval ratio = compared.Ratio();
    const bool reads_once = c.test.n_prompt == 0 && c.test.n_streams == 1;  // a token, all weights
    const double share = reads_once ? ReadShare(compared, cost) : 0;
    const bool is_below = ratio.ratio < c.floor || share < c.share_floor;
    n_below_ += is_below ? 1 : 0;
    std::string floor = Fixed(c.floor, 2);
    if (c.share_floor > 0) floor += ", " + Percent(c.share_floor, 1);
    table_.Add({CaseName(c), floor, Fixed(c.aim, 2), Fixed(Summarize(compared.ours).mean, 1),
                Fixed(Summarize(compared.theirs).mean, 1), Fixed(ratio.ratio, 2),
                Fixed(ratio.low, 2) + " to " + Fixed(ratio.high, 2),
                share > 0 && c.shape != kSmallModel ? Percent(share, 1) : "-",
                is_below               ? "below"
                : ratio.ratio >= c.aim ? "aim"
                                       : "floor"});
  }

  const FloorTableOptions& options_;
  TableWriter table_;
  int n_below_ = 0;
};

}  // namespace

Result<FloorTable> MeasureFloorTable(const FloorTableOptions& options) {
  const int n_threads = options.comparison.n_threads > 0 ? options.comparison.n_threads : kThreads;
  if (!options.has_formats && n_threads != kThreads)
    return InvalidArgument("the floors are for " + std::to_string(kThreads) + " threads, not " +
                           std::to_string(n_threads) + "; --formats takes any number");
  const std::vector<Case> cases = options.has_formats
                                      ? FormatCases(n_threads)
                                      : std::vector<Case>(std::begin(kCases), std::end(kCases));
  std::vector<Case> wanted;
  for (const Case& c : cases) {
    if (c.shape == kSmallModel && options.small_model.empty()) continue;
    if (c.test.n_streams > 1 && options.comparison.batched_peer.empty()) continue;
    if (CaseName(c).find(options.only) != std::string::npos) wanted.push_back(c);
  }
  if (wanted.empty()) return InvalidArgument("no case's name holds '" + options.only + "'");
  TableRun run(options);
  for (size_t begin = 0; begin < wanted.size();) {
    size_t end = begin;
    while (end < wanted.size() && IsSameFile(wanted[begin], wanted[end])) ++end;
    FORGE_TRY(run.RunFile(
        {wanted.begin() + static_cast<long>(begin), wanted.begin() + static_cast<long>(end)}));
    begin = end;
  }
  return run.Take();
}

}  // namespace forge
