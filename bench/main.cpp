// forge-bench: measures the engine, alone or beside llama-bench. docs/measuring.md.

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <map>
#include <string>
#include <vector>

#include "bench/comparison.h"
#include "bench/floor_table.h"
#include "bench/measure.h"
#include "bench/model_cost.h"
#include "bench/report.h"
#include "bench/table_writer.h"

namespace forge {
namespace {

constexpr int kFailure = 1, kUsageError = 2, kBelowFloor = 3;

// What the command line says, before it is read.
struct Arguments {
  std::vector<std::string> models;
  std::string prompts = "512", gens = "128", depths = "0", streams;
  std::vector<std::string> both;
  std::string output = "table";
  int n_threads = 0, gpu = -1;
  uint32_t n_batch = 512;
  std::string kv_type = "f16";
  int repetitions = 5;
  bool has_ops = false, has_load = false, skips_verification = false;
  std::string peer, peer_options = "-fa 0,1", batched_peer, floor, folder, small_model, only;
  bool keeps_files = false, has_formats = false;
};

int Fail(const Status& status) {
  std::fprintf(stderr, "forge-bench: %s\n", std::string(status.message()).c_str());
  return status.code() == StatusCode::kInvalidArgument ? kUsageError : kFailure;
}

void ShowProgress(const std::string& line) { std::fprintf(stderr, "%s\n", line.c_str()); }

Result<std::vector<SpeedTest>> ReadStreams(const Arguments& arguments) {
  FORGE_ASSIGN_OR_RETURN(const auto depths, ParseNumbers("-d", arguments.depths));
  return ParseStreams(arguments.streams, depths);
}

Result<std::vector<SpeedTest>> ReadTests(const Arguments& arguments) {
  FORGE_ASSIGN_OR_RETURN(const auto prompts, ParseNumbers("-p", arguments.prompts));
  FORGE_ASSIGN_OR_RETURN(const auto gens, ParseNumbers("-n", arguments.gens));
  FORGE_ASSIGN_OR_RETURN(const auto depths, ParseNumbers("-d", arguments.depths));
  std::vector<SpeedTest> both;
  for (const std::string& text : arguments.both) {
    FORGE_ASSIGN_OR_RETURN(const SpeedTest test, ParsePromptAndGen(text));
    both.push_back(test);
  }
  return CombineTests(prompts, gens, both, depths);
}

Result<MeasureOptions> ReadMeasureOptions(const Arguments& arguments) {
  MeasureOptions options;
  options.models = arguments.models;
  FORGE_ASSIGN_OR_RETURN(options.tests, ReadTests(arguments));
  FORGE_ASSIGN_OR_RETURN(options.streams, ReadStreams(arguments));
  options.has_ops = arguments.has_ops;
  options.has_load = arguments.has_load;
  options.n_threads = arguments.n_threads;
  options.gpu = arguments.gpu;
  options.verifies = !arguments.skips_verification;
  options.n_batch = arguments.n_batch;
  options.repetitions = arguments.repetitions;
  for (const KvDType dtype : {KvDType::kF16, KvDType::kF32, KvDType::kBf16, KvDType::kQ8_0})
    if (KvDTypeName(dtype) == arguments.kv_type) options.kv_dtype = dtype;
  return options;
}

int RunMeasure(const Arguments& arguments) {
  const Result<MeasureOptions> options = ReadMeasureOptions(arguments);
  if (!options.ok()) return Fail(options.status());
  std::vector<SpeedReport> reports;
  int exit_code = 0;
  for (const std::string& path : arguments.models) {
    Result<SpeedReport> report = MeasureModel(path, *options);
    if (!report.ok()) {
      exit_code = Fail(report.status().WithContext(path));
      continue;
    }
    reports.push_back(std::move(*report));
  }
  if (options->has_load && !reports.empty()) {
    const Status loaded = MeasureLoads(*options, reports);
    if (!loaded.ok()) exit_code = Fail(loaded);
  }
  const std::string text = arguments.output == "json" ? ReportJson(reports) : ReportText(reports);
  std::fputs(text.c_str(), stdout);
  return exit_code;
}

// "1.25" for every test, or "tg64=1.25,pp512=2.3"; a test that is not named has no floor.
Result<std::map<std::string, double>> ReadFloors(const std::string& text) {
  std::map<std::string, double> floors;
  for (size_t begin = 0; begin < text.size();) {
    const size_t comma = std::min(text.find(',', begin), text.size());
    const std::string part = text.substr(begin, comma - begin);
    const size_t equals = part.find('=');
    const std::string name = equals == std::string::npos ? "" : part.substr(0, equals);
    const std::string number = equals == std::string::npos ? part : part.substr(equals + 1);
    char* end = nullptr;
    const double floor = std::strtod(number.c_str(), &end);
    if (number.empty() || *end != '\0' || !(floor > 0))
      return InvalidArgument("--floor needs a ratio above 0, or TEST=RATIO with commas between " +
                             std::string("them, not '") + text + "'");
    floors[name] = floor;
    begin = comma + 1;
  }
  return floors;
}

ComparisonOptions ReadComparison(const Arguments& arguments) {
  ComparisonOptions options;
  options.peer = arguments.peer;
  options.peer_options = arguments.peer_options;
  options.batched_peer = arguments.batched_peer;
  if (arguments.n_threads > 0) options.n_threads = options.n_peer_threads = arguments.n_threads;
  options.n_batch = arguments.n_batch;
  options.rounds = arguments.repetitions;
  options.progress = ShowProgress;
  return options;
}

// Adds a model's tests to the table; returns how many are below their floor.
int AddComparison(const std::string& path, const Comparison& comparison,
                  const std::map<std::string, double>& floors, TableWriter& table) {
  int n_below = 0;
  for (const ComparedTest& compared : comparison.tests) {
    const RatioInterval ratio = compared.Ratio();
    auto floor = floors.find(compared.test.Name());
    if (floor == floors.end()) floor = floors.find("");
    const bool has_floor = floor != floors.end();
    const bool is_below = has_floor && ratio.ratio < floor->second;
    n_below += is_below ? 1 : 0;
    table.Add({path.substr(path.rfind('/') + 1), compared.test.Name(),
               Fixed(Summarize(compared.ours).mean, 1), Fixed(Summarize(compared.theirs).mean, 1),
               Fixed(ratio.ratio, 2), Fixed(ratio.low, 2) + " to " + Fixed(ratio.high, 2),
               has_floor ? Fixed(floor->second, 2) : "-",
               is_below    ? "below"
               : has_floor ? "ok"
                           : "-"});
  }
  return n_below;
}

Result<std::vector<SpeedTest>> ReadComparedTests(const Arguments& arguments) {
  FORGE_ASSIGN_OR_RETURN(std::vector<SpeedTest> tests, ReadTests(arguments));
  FORGE_ASSIGN_OR_RETURN(const auto streams, ReadStreams(arguments));
  tests.insert(tests.end(), streams.begin(), streams.end());
  return tests;
}

int RunCompare(const Arguments& arguments) {
  const Result<std::vector<SpeedTest>> tests = ReadComparedTests(arguments);
  if (!tests.ok()) return Fail(tests.status());
  const Result<std::map<std::string, double>> floors = ReadFloors(arguments.floor);
  if (!floors.ok()) return Fail(floors.status());
  TableWriter table(
      {"model", "test", "ours", "peer", "ratio", "90 % interval", "floor", "verdict"});
  int n_below = 0;
  std::string notes;
  for (const std::string& path : arguments.models) {
    const Result<Comparison> comparison = Compare(path, *tests, ReadComparison(arguments));
    if (!comparison.ok()) return Fail(comparison.status().WithContext(path));
    n_below += AddComparison(path, *comparison, *floors, table);
    if (!comparison->peer_build.empty()) notes = "peer: " + comparison->peer_build + "\n";
    // Beyond this the machine is not the same from round to round, and the interval says more than
    // the ratio.
    if (comparison->read_max > 1.15 * comparison->read_min)
      ShowProgress("read probe from " + Fixed(comparison->read_min, 1) + " to " +
                   Fixed(comparison->read_max, 1) + " GB/s: others use this machine");
  }
  std::printf("%s%s", notes.c_str(), table.Text().c_str());
  return n_below > 0 ? kBelowFloor : 0;
}

int RunTable(const Arguments& arguments) {
  const FloorTableOptions options = {.comparison = ReadComparison(arguments),
                                     .folder = arguments.folder,
                                     .small_model = arguments.small_model,
                                     .has_formats = arguments.has_formats,
                                     .only = arguments.only,
                                     .keeps_files = arguments.keeps_files};
  const Result<FloorTable> table = MeasureFloorTable(options);
  if (!table.ok()) return Fail(table.status());
  std::fputs(table->text.c_str(), stdout);
  return table->n_below > 0 ? kBelowFloor : 0;
}

void AddTestOptions(CLI::App& app, Arguments& arguments) {
  app.add_option("-m,--model", arguments.models, "Model files")->check(CLI::ExistingFile);
  app.add_option("-p", arguments.prompts, "Prompt lengths; 0: none")->capture_default_str();
  app.add_option("-n", arguments.gens, "Generated tokens; 0: none")->capture_default_str();
  app.add_option("--pg", arguments.both, "Prompt and generation in one test: 512,64");
  app.add_option("-d", arguments.depths, "Tokens in the cache before")->capture_default_str();
  app.add_option("--streams", arguments.streams,
                 "Numbers of sequences that decode at once, after prompts of -d tokens, or 32");
}

void AddEngineOptions(CLI::App& app, Arguments& arguments) {
  app.add_option("-t,--threads", arguments.n_threads, "Threads; 0: as the daemon would")
      ->check(CLI::Range(0, 4096))
      ->capture_default_str();
  app.add_option("-b,--batch", arguments.n_batch, "Most prompt tokens in a step")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  app.add_option("-r,--repetitions,--rounds", arguments.repetitions, "Repetitions, or rounds")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
}

void AddPeerOptions(CLI::App& app, Arguments& arguments) {
  app.add_option("--peer", arguments.peer,
                 "llama-bench, or a command that starts it; {model}, {dir} and {name} stand for "
                 "the file, its folder and its name");
  app.add_option("--peer-options", arguments.peer_options,
                 "Options for it; of several results for a test the fastest counts")
      ->capture_default_str();
  app.add_option("--batched-peer", arguments.batched_peer,
                 "llama-batched-bench, or a command that starts it, for several streams");
  AddEngineOptions(app, arguments);
}

int Run(int argc, char** argv) {
  CLI::App app("Measures the engine. Without a command, measures the models given with -m.",
               "forge-bench");
  Arguments arguments;
  AddTestOptions(app, arguments);
  AddEngineOptions(app, arguments);
  app.add_option("--kv-type", arguments.kv_type, "Number format of the KV cache")
      ->check(CLI::IsMember({"f16", "f32", "bf16", "q8_0"}))
      ->capture_default_str();
  app.add_option("--gpu", arguments.gpu,
                 "Measure this GPU, from 0, by its copy rate; -1: the CPU by its probes")
      ->capture_default_str();
  app.add_flag("--no-verify", arguments.skips_verification,
               "Do not compare greedy tokens of large and small batches first");
  app.add_flag("--ops", arguments.has_ops, "Show the time of each op");
  app.add_flag("--load", arguments.has_load, "Measure loading and switching between the models");
  app.add_option("-o,--output", arguments.output, "Output format")
      ->check(CLI::IsMember({"table", "json"}))
      ->capture_default_str();
  CLI::App* const compare =
      app.add_subcommand("compare", "Run ours and llama-bench alternately over the same files");
  AddTestOptions(*compare, arguments);
  AddPeerOptions(*compare, arguments);
  compare->add_option("--floor", arguments.floor,
                      "Least ratio: 1.25, or tg64=1.25,pp512=2.3; exit code 3 below it");
  CLI::App* const table =
      app.add_subcommand("table", "Measure the floors of docs/performance.md, making the models");
  AddPeerOptions(*table, arguments);
  table->get_option("--peer")->required();
  table->add_option("--dir", arguments.folder, "Folder for the model files, up to 3 GB")
      ->required()
      ->check(CLI::ExistingDirectory);
  table->add_option("--small-model", arguments.small_model, "stories260K.gguf")
      ->check(CLI::ExistingFile);
  table->add_flag("--formats", arguments.has_formats,
                  "Measure every format instead: prompts, one stream and several");
  table->add_option("--only", arguments.only, "Cases whose name holds this");
  table->add_flag("--keep", arguments.keeps_files, "Leave the model files there");
  CLI11_PARSE(app, argc, argv);
  if (table->parsed()) return RunTable(arguments);
  if (arguments.models.empty()) {
    std::fprintf(stderr, "forge-bench: -m FILE is needed; see --help\n");
    return kUsageError;
  }
  return compare->parsed() ? RunCompare(arguments) : RunMeasure(arguments);
}

}  // namespace
}  // namespace forge

int main(int argc, char** argv) {
  try {
    return forge::Run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "forge-bench: %s\n", error.what());
    return 1;
  }
}
