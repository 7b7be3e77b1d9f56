#include "bench/report.h"

#include <algorithm>
#include <chrono>
#include <ctime>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "bench/statistics.h"
#include "bench/table_writer.h"

namespace forge {
namespace {

using Json = nlohmann::ordered_json;

std::string NowText() {
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  std::tm parts = {};
  gmtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

// "qwen2 0.5B Q4_K": the family, the parameters and the format with the most bytes.
std::string ModelType(const ModelFileInfo& info) {
  const double billions = static_cast<double>(info.n_parameters) * 1e-9;
  return info.architecture + " " + Fixed(billions, billions < 10 ? 1 : 0) + "B " +
         (info.format_bytes.empty() ? "" : info.format_bytes[0].first);
}

std::vector<double> Speeds(const TestReport& report) {
  std::vector<double> speeds;
  for (const double seconds : report.seconds) speeds.push_back(report.test.n_tokens() / seconds);
  return speeds;
}

// GB/s of weights and cache that a generation reads; 0 for tests with a prompt.
double ReadRate(const SpeedReport& model, const TestReport& report) {
  if (report.test.n_prompt > 0) return 0;
  return 1e-9 * Summarize(Speeds(report)).mean *
         model.cost.BytesPerToken(report.test, model.info.kv_dtype);
}

// 10^9 operations per second in matrix products; 0 for generations, which memory limits.
double OperationRate(const SpeedReport& model, const TestReport& report) {
  if (report.test.n_gen > 0) return 0;
  const double of_token = static_cast<double>(model.cost.multiplied) +
                          static_cast<double>(model.cost.output_multiplied) / report.test.n_prompt;
  return 2e-9 * Summarize(Speeds(report)).mean * of_token;
}

Json ModelJson(const SpeedReport& model) {
  return {{"build_commit", "forge"},
          {"cpu_info", model.is_gpu ? "" : model.device},
          {"gpu_info", model.is_gpu ? model.device : ""},
          {"backends", model.is_gpu ? "HIP" : "CPU"},
          {"model_filename", model.path},
          {"model_type", ModelType(model.info)},
          {"model_size", model.info.file_bytes},
          {"model_n_params", model.info.n_parameters},
          {"n_batch", model.n_batch},
          {"n_ubatch", model.n_batch},
          {"n_threads", model.n_threads},
          {"type_k", KvDTypeName(model.info.kv_dtype)},
          {"type_v", KvDTypeName(model.info.kv_dtype)}};
}

Json OpsJson(const std::vector<OpRecord>& ops) {
  Json all = Json::array();
  for (const OpRecord& op : ops)
    all.push_back({{"op", op.name},
                   {"calls", op.n_calls},
                   {"seconds", op.seconds},
                   {"bytes", op.bytes},
                   {"operations", op.operations}});
  return all;
}

// What tests of one stream and of several have in common.
Json MeasuredJson(const SpeedReport& model, const TestReport& report) {
  Json json = ModelJson(model);
  const Summary speed = Summarize(Speeds(report));
  json.update(Json{{"n_depth", report.test.n_depth},
                   {"test_time", NowText()},
                   {"avg_ts", speed.mean},
                   {"stddev_ts", speed.deviation},
                   {"samples_ts", Speeds(report)},
                   {"probe_read_gbs", report.limits.read_gbs},
                   {"probe_int8_gops", report.limits.int8_gops},
                   {"probe_f32_gflops", report.limits.f32_gflops},
                   {"probe_bf16_gflops", report.limits.bf16_gflops}});
  if (!report.ops.empty()) json["ops"] = OpsJson(report.ops);
  return json;
}

Json TestJson(const SpeedReport& model, const TestReport& report) {
  Json json = MeasuredJson(model, report);
  std::vector<double> nanoseconds;
  for (const double seconds : report.seconds) nanoseconds.push_back(1e9 * seconds);
  const Summary time = Summarize(nanoseconds);
  json.update(Json{{"n_prompt", report.test.n_prompt},
                   {"n_gen", report.test.n_gen},
                   {"avg_ns", static_cast<uint64_t>(time.mean)},
                   {"stddev_ns", static_cast<uint64_t>(time.deviation)},
                   {"samples_ns", nanoseconds},
                   {"read_gbs", ReadRate(model, report)},
                   {"matmul_gops", OperationRate(model, report)}});
  return json;
}

Json StreamsJson(const SpeedReport& model, const TestReport& report) {
  Json json = MeasuredJson(model, report);
  json["n_streams"] = report.test.n_streams;
  return json;
}

std::string Spread(const std::vector<double>& values, int digits) {
  const Summary summary = Summarize(values);
  return Fixed(summary.mean, digits) + " ± " + Fixed(summary.deviation, digits);
}

// What products are compared with: of a GPU its bf16 rate, which is the one that vendors state.
double ProductLimit(const MachineLimits& limits) {
  return limits.bf16_gflops > 0 ? limits.bf16_gflops : limits.int8_gops;
}

std::string ProductLimitName(const MachineLimits& limits) {
  return limits.bf16_gflops > 0 ? "of bf16 probe" : "of int8 probe";
}

std::string ProbesText(const MachineLimits& limits) {
  if (limits.bf16_gflops > 0)
    return "probes: copy " + Fixed(limits.read_gbs, 1) + " GB/s, bf16 matrix units " +
           Fixed(limits.bf16_gflops, 0) + " Gflop/s\n";
  return "probes: read " + Fixed(limits.read_gbs, 1) + " GB/s, int8 " + Fixed(limits.int8_gops, 0) +
         " Gop/s, float32 " + Fixed(limits.f32_gflops, 0) + " Gflop/s\n";
}

// Those of the first test of any model, or null.
const MachineLimits* FirstLimits(const std::vector<SpeedReport>& models) {
  for (const SpeedReport& model : models)
    for (const std::vector<TestReport>* tests : {&model.tests, &model.streams})
      if (!tests->empty()) return &tests->front().limits;
  return nullptr;
}

std::string TestsText(const std::vector<SpeedReport>& models) {
  const auto has_tests = [](const SpeedReport& model) { return !model.tests.empty(); };
  if (std::none_of(models.begin(), models.end(), has_tests)) return "";
  TableWriter table({"model", "size", "test", "tokens/s", "read GB/s", "of probe", "Gop/s",
                     ProductLimitName(*FirstLimits(models))});
  for (const SpeedReport& model : models)
    for (const TestReport& report : model.tests) {
      const double read = ReadRate(model, report), operations = OperationRate(model, report);
      table.Add({ModelType(model.info),
                 Fixed(static_cast<double>(model.info.file_bytes) * 1e-9, 2) + " GB",
                 report.test.Name(), Spread(Speeds(report), 1), read > 0 ? Fixed(read, 1) : "-",
                 read > 0 ? Percent(read, report.limits.read_gbs) : "-",
                 operations > 0 ? Fixed(operations, 0) : "-",
                 operations > 0 ? Percent(operations, ProductLimit(report.limits)) : "-"});
    }
  return "\n" + table.Text();
}

std::string OpsText(const TestReport& report) {
  double total = 0;
  for (const OpRecord& op : report.ops) total += op.seconds;
  double measured = 0;
  for (const double seconds : report.seconds) measured += seconds;
  TableWriter table({"op", "calls", "ms", "of ops", "GB/s", "of probe", "Gop/s",
                     ProductLimitName(report.limits)});
  for (const OpRecord& op : report.ops) {
    const double read = 1e-9 * static_cast<double>(op.bytes) / op.seconds;
    const double operations = 1e-9 * static_cast<double>(op.operations) / op.seconds;
    table.Add({op.name, std::to_string(op.n_calls), Fixed(1e3 * op.seconds, 2),
               Percent(op.seconds, total), op.bytes > 0 ? Fixed(read, 1) : "-",
               op.bytes > 0 ? Percent(read, report.limits.read_gbs) : "-",
               op.operations > 0 ? Fixed(operations, 0) : "-",
               op.operations > 0 ? Percent(operations, ProductLimit(report.limits)) : "-"});
  }
  return "\n" + report.test.Name() + ": " + Fixed(1e3 * total, 1) + " ms in ops, " +
         Fixed(1e3 * measured, 1) + " ms measured\n\n" + table.Text();
}

std::string OpsOfTests(const std::vector<SpeedReport>& models,
                       std::vector<TestReport> SpeedReport::*tests) {
  std::string text;
  for (const SpeedReport& model : models)
    for (const TestReport& report : model.*tests)
      if (!report.ops.empty()) text += OpsText(report);
  return text;
}

// How many times the speed of one stream at that depth, if it was measured.
std::string TimesOfOneStream(const SpeedReport& model, const TestReport& report) {
  for (const TestReport& one : model.streams)
    if (one.test.n_streams == 1 && one.test.n_depth == report.test.n_depth)
      return Fixed(Summarize(Speeds(report)).mean / Summarize(Speeds(one)).mean, 2);
  return "-";
}

std::string StreamsText(const std::vector<SpeedReport>& models) {
  TableWriter table({"model", "streams", "depth", "tokens/s", "of one stream"});
  bool is_empty = true;
  for (const SpeedReport& model : models)
    for (const TestReport& report : model.streams) {
      table.Add({ModelType(model.info), std::to_string(report.test.n_streams),
                 std::to_string(report.test.n_depth), Spread(Speeds(report), 1),
                 TimesOfOneStream(model, report)});
      is_empty = false;
    }
  return is_empty ? "" : "\n" + table.Text();
}

std::string LoadText(const std::vector<SpeedReport>& models) {
  TableWriter table({"model", "size", "load s", "GB/s", "switch to s"});
  bool is_empty = true;
  for (const SpeedReport& model : models) {
    if (model.load.load_seconds.empty()) continue;
    is_empty = false;
    const double gigabytes = static_cast<double>(model.info.file_bytes) * 1e-9;
    table.Add({ModelType(model.info), Fixed(gigabytes, 2) + " GB",
               Spread(model.load.load_seconds, 3),
               Fixed(gigabytes / Summarize(model.load.load_seconds).mean, 2),
               model.load.switch_seconds.empty() ? "-" : Spread(model.load.switch_seconds, 3)});
  }
  return is_empty ? "" : "\n" + table.Text();
}

}  // namespace

std::string ReportJson(const std::vector<SpeedReport>& models) {
  Json all = Json::array();
  for (const SpeedReport& model : models) {
    for (const TestReport& report : model.tests) all.push_back(TestJson(model, report));
    for (const TestReport& report : model.streams) all.push_back(StreamsJson(model, report));
    if (!model.load.load_seconds.empty()) {
      Json json = ModelJson(model);
      json.update(Json{{"load_seconds", model.load.load_seconds},
                       {"switch_seconds", model.load.switch_seconds}});
      all.push_back(json);
    }
  }
  return all.dump(2) + "\n";
}

std::string ReportText(const std::vector<SpeedReport>& models) {
  std::string text;
  if (models.empty()) return text;
  text = models[0].device + "\n";
  if (const MachineLimits* const limits = FirstLimits(models)) text += ProbesText(*limits);
  text += TestsText(models);
  text += OpsOfTests(models, &SpeedReport::tests) + StreamsText(models);
  text += OpsOfTests(models, &SpeedReport::streams);
  return text + LoadText(models);
}

}  // namespace forge
