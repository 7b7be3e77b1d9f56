// Measures the CPU matmul of every weight format next to what the machine's memory gives.
//
//   matmul_bench [--threads N] [--level portable|avx2|avxvnni|avx512|amx] [--rounds N]
//                [--megabytes N] [--columns N] [--clock wall|cpu] [FORMAT ...]
//
// Each round reads the weights plainly and multiplies them with 1 to 512 tokens, so that both see
// the same moments of a machine that other work shares; the table shows the best of the rounds.
// Judge the share of the read probe, not GB/s. Where other programs take the processors, --clock
// cpu counts this program's processor time, divided by its threads, instead of time on the wall.

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "bench/op_inputs.h"
#include "bench/probes.h"
#include "kernels/cpu/cpu_stream.h"
#include "kernels/cpu/matmul.h"
#include "kernels/cpu/pack.h"
#include "tests/kernels/random_weights.h"

namespace forge {
namespace {

constexpr int kBatches[] = {1, 2, 4, 8, 16, 32, 128};
constexpr int kPrompts[] = {16, 128, 512};  // tokens of a prompt
constexpr int kMaxBatch = 512;
constexpr int64_t kPatternRows = 256;  // distinct rows; the matrix repeats them

struct Options {
  int n_threads = 2;
  CpuLevel level = HighestCpuLevel();
  int rounds = 5;
  int64_t megabytes = 512;  // more than the caches hold
  int64_t n_cols = 2048;
  bool uses_cpu_clock = false;
  std::vector<std::string> formats;  // empty: all
};

double Now(clockid_t clock) {
  timespec time = {};
  clock_gettime(clock, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

// The shortest run, which is the one that other programs disturbed least.
double Best(const std::vector<double>& seconds) {
  return *std::min_element(seconds.begin(), seconds.end());
}

class FormatBench {
 public:
  FormatBench(const FormatInfo& format, const Options& options, CpuStream& stream)
      : format_(format), options_(options), stream_(stream) {
    std::mt19937 rng(1);
    const WeightShape pattern = {format.dtype, kPatternRows, options.n_cols};
    const auto rows = testing::RandomWeights(format.dtype, kPatternRows, options.n_cols, rng);
    const int64_t pattern_bytes = static_cast<int64_t>(CpuPackedWeightBytes(pattern).value());
    const int64_t copies = std::max<int64_t>(1, (options.megabytes << 20) / pattern_bytes);
    shape_ = {format.dtype, kPatternRows * copies, options.n_cols};
    bytes_ = pattern_bytes * copies;
    weights_ = AllocateOpMemory(static_cast<uint64_t>(bytes_));
    Check(CpuPackRows(pattern, 0, kPatternRows, rows.data(), weights_.get()));
    for (int64_t i = 1; i < copies; ++i)
      std::memcpy(weights_.get() + i * pattern_bytes, weights_.get(),
                  static_cast<size_t>(pattern_bytes));
    x_ = NormalFloats(static_cast<size_t>(kMaxBatch * options.n_cols));
    workspace_ = AllocateOpMemory(CpuMatmulWorkspaceBytes(kMaxBatch, options.n_cols));
    y_ = AllocateOpMemory(static_cast<uint64_t>(shape_.n_rows * kMaxBatch) * sizeof(float));
    for (const int batch : kBatches) Multiply(batch);  // backs y with pages
  }

  void RunRound() {
    read_.push_back(SecondsOf([&] { ReadAll(weights_.get(), bytes_, stream_.pool()); }));
    for (size_t i = 0; i < std::size(kBatches); ++i)
      batch_[i].push_back(SecondsOf([&] { Multiply(kBatches[i]); }));
    for (size_t i = 0; i < std::size(kPrompts); ++i)
      prompt_[i].push_back(SecondsOf([&] { Multiply(kPrompts[i], kPrompts[i]); }));
  }

  void Print() const {
    const double read = Best(read_);
    const double gigabytes = static_cast<double>(bytes_) * 1e-9;
    std::printf("%-5s %6.1f |", std::string(format_.name).c_str(), gigabytes / read);
    const double one_token = Best(batch_[0]);
    std::printf(" %6.1f %4.0f%% |", gigabytes / one_token, 100 * read / one_token);
    const auto print = [this](int n_tokens, const std::vector<double>& seconds) {
      const double operations =
          2e-9 * static_cast<double>(shape_.n_rows * shape_.n_cols) * n_tokens;
      std::printf(" %6.0f", operations / Best(seconds));
    };
    for (size_t i = 0; i < std::size(kBatches); ++i) print(kBatches[i], batch_[i]);
    std::printf(" |");
    for (size_t i = 0; i < std::size(kPrompts); ++i) print(kPrompts[i], prompt_[i]);
    std::printf("\n");
    std::fflush(stdout);
  }

 private:
  static void Check(const Status& status) {
    if (status.ok()) return;
    std::fprintf(stderr, "%s\n", status.ToString().c_str());
    std::exit(1);
  }

  void Multiply(int n_tokens, int n_prompt_tokens = 0) {
    MatmulArgs args;
    args.x = x_.data();
    args.n_tokens = n_tokens;
    args.n_prompt_tokens = n_prompt_tokens;
    args.n_targets = 1;
    args.targets[0] = {
        {weights_.get(), shape_}, nullptr, nullptr, reinterpret_cast<float*>(y_.get())};
    args.workspace = {workspace_.get(), CpuMatmulWorkspaceBytes(kMaxBatch, shape_.n_cols)};
    Check(CpuMatmul(args, stream_));
  }

  template <typename Function>
  double SecondsOf(const Function& function) const {
    const clockid_t clock = options_.uses_cpu_clock ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC;
    const double start = Now(clock);
    function();
    return (Now(clock) - start) / (options_.uses_cpu_clock ? options_.n_threads : 1);
  }

  const FormatInfo& format_;
  const Options& options_;
  CpuStream& stream_;
  WeightShape shape_ = {};
  int64_t bytes_ = 0;
  OpMemory weights_, workspace_, y_;
  std::vector<float> x_;
  std::vector<double> read_;
  std::vector<double> batch_[std::size(kBatches)];
  std::vector<double> prompt_[std::size(kPrompts)];
};

std::optional<Options> ParseOptions(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string_view name = argv[i];
    if (!name.starts_with("--")) {
      options.formats.emplace_back(name);
      continue;
    }
    if (++i == argc) return std::nullopt;
    if (name == "--threads") {
      options.n_threads = std::atoi(argv[i]);
    } else if (name == "--rounds") {
      options.rounds = std::atoi(argv[i]);
    } else if (name == "--megabytes") {
      options.megabytes = std::atoll(argv[i]);
    } else if (name == "--columns") {
      options.n_cols = std::atoll(argv[i]);
    } else if (name == "--clock") {
      options.uses_cpu_clock = std::string_view(argv[i]) == "cpu";
    } else if (name == "--level") {
      const Result<CpuLevel> level = ChooseCpuLevel(argv[i]);
      if (!level.ok()) return std::nullopt;
      options.level = *level;
    } else {
      return std::nullopt;
    }
  }
  const bool is_valid = options.rounds > 0 && options.megabytes > 0 && options.n_cols > 0 &&
                        options.n_cols % 256 == 0;
  return is_valid ? std::optional(options) : std::nullopt;
}

int Run(const Options& options) {
  Result<std::unique_ptr<ThreadPool>> pool = ThreadPool::Create(options.n_threads);
  if (!pool.ok()) {
    std::fprintf(stderr, "%s\n", pool.status().ToString().c_str());
    return 1;
  }
  CpuStream stream(**pool, options.level);
  std::printf("%s, %d threads, %lld columns, %lld MiB of weights, best of %d rounds\n",
              std::string(CpuLevelName(options.level)).c_str(), options.n_threads,
              static_cast<long long>(options.n_cols), static_cast<long long>(options.megabytes),
              options.rounds);
  std::printf("%-5s %6s | %12s | Gop/s at", "", "read", "1 token");
  for (const int batch : kBatches) std::printf(" %d", batch);
  std::printf(" tokens, of a prompt");
  for (const int prompt : kPrompts) std::printf(" %d", prompt);
  std::printf("\n%-5s %6s | %6s %5s |\n", "", "GB/s", "GB/s", "read");
  for (const FormatInfo& format : KnownFormats()) {
    const bool is_wanted = options.formats.empty() ||
                           std::find(options.formats.begin(), options.formats.end(), format.name) !=
                               options.formats.end();
    if (!is_wanted) continue;
    FormatBench bench(format, options, stream);
    for (int round = 0; round < options.rounds; ++round) bench.RunRound();
    bench.Print();
  }
  return 0;
}

}  // namespace
}  // namespace forge

int main(int argc, char** argv) {
  const std::optional<forge::Options> options = forge::ParseOptions(argc, argv);
  if (options) return forge::Run(*options);
  std::fprintf(stderr,
               "usage: matmul_bench [--threads N] [--level portable|avx2|avxvnni|avx512|amx]\n"
               "                    [--rounds N] [--megabytes N] [--columns MULTIPLE_OF_256]\n"
               "                    [--clock wall|cpu] [FORMAT ...]\n");
  return 2;
}
