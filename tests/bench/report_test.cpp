#include "bench/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "bench/table_writer.h"

namespace forge {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

SpeedReport MakeReport() {
  SpeedReport report;
  report.path = "/models/a.gguf";
  report.device = "some processor, avx512, 2 threads";
  report.n_threads = 2;
  report.n_batch = 128;
  report.info.architecture = "llama";
  report.info.file_bytes = 800'000'000;
  report.info.n_parameters = 1'236'000'000;
  report.info.format_bytes = {{"Q4_K", 700'000'000}, {"Q6_K", 100'000'000}};
  report.cost = {.weight_bytes = 500'000'000,
                 .multiplied = 1'000'000'000,
                 .output_multiplied = 512'000'000,  // 1,000,000 for each of the prompt's 512 tokens
                 .kv_elements = 0};
  report.tests.push_back({.test = {.n_prompt = 512},
                          .seconds = {1.0, 2.0},
                          .limits = {.read_gbs = 50, .int8_gops = 2000, .f32_gflops = 500},
                          .ops = {}});
  report.tests.push_back({.test = {.n_gen = 64},
                          .seconds = {1.0},
                          .limits = {.read_gbs = 40, .int8_gops = 2000, .f32_gflops = 500},
                          .ops = {{.name = "attention", .n_calls = 3, .seconds = 0.5}}});
  return report;
}

TEST(ReportTest, WritesTheFieldsOfLlamaBench) {
  const nlohmann::json ours = nlohmann::json::parse(ReportJson({MakeReport()}));
  ASSERT_EQ(ours.size(), 2u);
  std::ifstream stream(FORGE_SOURCE_DIR "/tests/bench/llama_bench_sample.json");
  const nlohmann::json theirs = nlohmann::json::parse(stream);
  for (const char* field :
       {"build_commit", "cpu_info",       "gpu_info",  "backends",   "model_filename", "model_type",
        "model_size",   "model_n_params", "n_batch",   "n_ubatch",   "n_threads",      "type_k",
        "type_v",       "n_prompt",       "n_gen",     "n_depth",    "test_time",      "avg_ns",
        "stddev_ns",    "avg_ts",         "stddev_ts", "samples_ns", "samples_ts"}) {
    ASSERT_TRUE(theirs[0].contains(field)) << field;
    ASSERT_TRUE(ours[0].contains(field)) << field;
    EXPECT_EQ(ours[0][field].is_number(), theirs[0][field].is_number()) << field;
    EXPECT_EQ(ours[0][field].is_string(), theirs[0][field].is_string()) << field;
  }
}

TEST(ReportTest, AveragesSpeedsNotTimes) {
  const nlohmann::json json = nlohmann::json::parse(ReportJson({MakeReport()}));
  EXPECT_DOUBLE_EQ(json[0]["avg_ts"].get<double>(), (512.0 + 256.0) / 2);
  EXPECT_EQ(json[0]["avg_ns"].get<uint64_t>(), 1'500'000'000u);
  EXPECT_DOUBLE_EQ(json[0]["matmul_gops"].get<double>(), 2 * 384.0 * 1.001);
  EXPECT_DOUBLE_EQ(json[1]["read_gbs"].get<double>(), 32.0);
  EXPECT_EQ(json[1]["ops"][0]["op"], "attention");
}

// One and eight streams; the ops of the latter.
std::vector<TestReport> MakeStreams() {
  std::vector<TestReport> streams(3);
  streams[0].test = {.n_gen = 24, .n_depth = 32};
  streams[0].seconds = {0.48};
  streams[1].test = {.n_gen = 24, .n_depth = 2048};
  streams[1].seconds = {0.6};
  streams[2].test = {.n_gen = 24, .n_depth = 2048, .n_streams = 8};
  streams[2].seconds = {1.2};
  streams[2].limits = {.read_gbs = 30, .int8_gops = 1900, .f32_gflops = 400};
  streams[2].ops = {{.name = "rope_append", .n_calls = 3, .seconds = 0.5}};
  return streams;
}

TEST(ReportTest, WritesStreams) {
  SpeedReport report = MakeReport();
  report.tests.clear();
  report.streams = MakeStreams();
  const nlohmann::json json = nlohmann::json::parse(ReportJson({report}));
  ASSERT_EQ(json.size(), 3u);
  EXPECT_EQ(json[2]["n_streams"], 8);
  EXPECT_EQ(json[2]["n_depth"], 2048);
  EXPECT_DOUBLE_EQ(json[2]["avg_ts"].get<double>(), 24 * 8 / 1.2);
  EXPECT_EQ(json[2]["probe_read_gbs"].get<double>(), 30);
  EXPECT_EQ(json[2]["probe_int8_gops"].get<double>(), 1900);
  EXPECT_EQ(json[2]["ops"][0]["op"], "rope_append");
  EXPECT_EQ(json[2]["model_type"], "llama 1.2B Q4_K");
}

TEST(ReportTest, ShowsSharesOfTheProbes) {
  SpeedReport report = MakeReport();
  report.streams = MakeStreams();
  report.load = {.load_seconds = {0.5}, .switch_seconds = {0.7}};
  const std::string text = ReportText({report});
  EXPECT_THAT(text, HasSubstr("80 %"));  // 32 of 40 GB/s
  EXPECT_THAT(text, HasSubstr("38 %"));  // 768 of 2000 Gop/s
  EXPECT_THAT(text, HasSubstr("4.00"));  // eight streams against one at their depth
  EXPECT_THAT(text, HasSubstr("tg24 @ d2048 x 8: 500.0 ms in ops, 1200.0 ms measured"));
  EXPECT_THAT(text, HasSubstr("1.60"));  // GB/s of the load
  EXPECT_THAT(text, HasSubstr("llama 1.2B Q4_K"));
}

TEST(ReportTest, ShowsSharesOfTheRatesOfAGpu) {
  SpeedReport report = MakeReport();
  report.is_gpu = true;
  report.device = "some GPU";
  for (TestReport& test : report.tests) test.limits = {.read_gbs = 64, .bf16_gflops = 1536};
  const std::string text = ReportText({report});
  EXPECT_THAT(text, HasSubstr("copy 64.0 GB/s, bf16 matrix units 1536 Gflop/s"));
  EXPECT_THAT(text, HasSubstr("of bf16 probe"));
  EXPECT_THAT(text, Not(HasSubstr("int8")));
  EXPECT_THAT(text, HasSubstr("50 %"));  // 32 of 64 GB/s, and 768 of 1536 Gop/s
  const nlohmann::json json = nlohmann::json::parse(ReportJson({report}));
  EXPECT_EQ(json[0]["probe_bf16_gflops"].get<double>(), 1536);
  EXPECT_EQ(json[0]["backends"], "HIP");
  EXPECT_EQ(json[0]["gpu_info"], "some GPU");
  EXPECT_EQ(json[0]["cpu_info"], "");
}

TEST(ReportTest, ShowsNothingForNothing) {
  EXPECT_EQ(ReportText({}), "");
  EXPECT_EQ(ReportJson({}), "[]\n");
}

TEST(TableWriterTest, AlignsColumnsByCharacters) {
  TableWriter table({"name", "x"});
  table.Add({"a", "1.0 ± 0.1"});
  table.Add({"bb", "2"});
  EXPECT_EQ(table.Text(),
            "| name |         x |\n"
            "| ---- | --------: |\n"
            "| a    | 1.0 ± 0.1 |\n"
            "| bb   |         2 |\n");
}

}  // namespace
}  // namespace forge
