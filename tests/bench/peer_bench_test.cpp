#include "bench/peer_bench.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "tests/support/gguf_builder.h"

namespace forge {
namespace {

using ::testing::HasSubstr;

// What llama-bench of llama.cpp 0.7.0 printed for -p 32 -n 8 -pg 16,4 -d 0,64 -fa 0,1 -o json.
constexpr const char* kSample = FORGE_SOURCE_DIR "/tests/bench/llama_bench_sample.json";

std::string ReadSample() {
  std::ifstream stream(kSample);
  return std::string(std::istreambuf_iterator<char>(stream), {});
}

TEST(PeerBenchTest, ReadsWhatLlamaBenchPrints) {
  const Result<std::vector<PeerResult>> results = ParsePeerResults(ReadSample());
  ASSERT_TRUE(results.ok()) << results.status().ToString();
  ASSERT_EQ(results->size(), 12u);  // three tests, two depths, with and without flash attention
  EXPECT_EQ((*results)[0].test, (SpeedTest{.n_prompt = 32}));
  EXPECT_EQ((*results)[0].build, "build 11669 (Debian)");
  EXPECT_EQ((*results)[0].n_threads, 2);
  for (const PeerResult& result : *results) EXPECT_GT(result.tokens_per_second, 0);
}

TEST(PeerBenchTest, RefusesOutputThatIsNoResultList) {
  for (const char* text : {"", "llama-bench: error", "{}", "[{\"n_prompt\": 1}]", "[1]"})
    EXPECT_EQ(ParsePeerResults(text).status().code(), StatusCode::kDataLoss) << text;
}

TEST(PeerBenchTest, TakesTheFasterOfTheResultsForATest) {
  const std::vector<SpeedTest> tests = {{.n_gen = 8}, {.n_prompt = 32, .n_depth = 64}};
  const Result<std::vector<PeerResult>> all = ParsePeerResults(ReadSample());
  ASSERT_TRUE(all.ok());
  const Result<std::vector<PeerResult>> best = RunPeer(std::string("cat '") + kSample + "'", tests);
  ASSERT_TRUE(best.ok()) << best.status().ToString();
  ASSERT_EQ(best->size(), 2u);
  for (size_t i = 0; i < tests.size(); ++i) {
    EXPECT_EQ((*best)[i].test, tests[i]);
    for (const PeerResult& result : *all) {
      if (result.test != tests[i]) continue;
      EXPECT_GE((*best)[i].tokens_per_second, result.tokens_per_second);
    }
  }
}

TEST(PeerBenchTest, NamesATestThatThePeerLeftOut) {
  const Status status = RunPeer(std::string("cat '") + kSample + "'", {{.n_gen = 9}}).status();
  EXPECT_EQ(status.code(), StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()), HasSubstr("tg9"));
}

TEST(PeerBenchTest, ShowsWhatAFailingPeerSaid) {
  const Status status = RunPeer("echo out of luck >&2; exit 7 #", {{.n_gen = 8}}).status();
  EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("status 7"));
}

// Two lines that llama-batched-bench of llama.cpp 0.7.0 printed for -npp 32 -ntg 24 -npl 8,16.
constexpr const char* kBatchedLines =
    R"({"n_kv_max": 4096, "n_batch": 2048, "n_ubatch": 512, "flash_attn": -1, "is_pp_shared": 0, )"
    R"("n_gpu_layers": -1, "n_threads": 2, "n_threads_batch": 2, "pp": 32, "tg": 24, "pl": 8, )"
    R"("n_kv": 448, "t_pp": 0.325527, "speed_pp": 786.417053, "t_tg": 2.652078, )"
    R"("speed_tg": 72.396065, "t": 2.977605, "speed": 150.456497})"
    "\n"
    R"({"n_kv_max": 4096, "n_batch": 2048, "n_ubatch": 512, "flash_attn": -1, "is_pp_shared": 0, )"
    R"("n_gpu_layers": -1, "n_threads": 2, "n_threads_batch": 2, "pp": 32, "tg": 24, "pl": 16, )"
    R"("n_kv": 896, "t_pp": 0.573036, "speed_pp": 893.486572, "t_tg": 2.779980, )"
    R"("speed_tg": 138.130493, "t": 3.353016, "speed": 267.222107})"
    "\n\n";

TEST(PeerBenchTest, ReadsWhatLlamaBatchedBenchPrints) {
  const Result<std::vector<PeerResult>> results = ParseBatchedPeerResults(kBatchedLines);
  ASSERT_TRUE(results.ok()) << results.status().ToString();
  ASSERT_EQ(results->size(), 2u);
  EXPECT_EQ((*results)[1].test, (SpeedTest{.n_gen = 24, .n_depth = 32, .n_streams = 16}));
  EXPECT_DOUBLE_EQ((*results)[1].tokens_per_second, 138.130493);
  EXPECT_EQ((*results)[1].n_threads, 2);
  for (const char* text : {"main: error", "[]", "{\"pp\": 32}"})
    EXPECT_EQ(ParseBatchedPeerResults(text).status().code(), StatusCode::kDataLoss) << text;
}

TEST(PeerBenchTest, TakesTheFasterOfStreamsWithAndWithoutFlashAttention) {
  const std::vector<SpeedTest> tests = {{.n_gen = 24, .n_depth = 32, .n_streams = 8},
                                        {.n_gen = 24, .n_depth = 32, .n_streams = 16}};
  std::string faster_at_8 = kBatchedLines;
  faster_at_8.replace(faster_at_8.find("72.396065"), 9, "99.000000");
  faster_at_8.replace(faster_at_8.find("138.130493"), 10, "100.000000");
  const Result<std::vector<PeerResult>> best =
      RunPeer("echo '" + std::string(kBatchedLines) + "' && echo '" + faster_at_8 + "'", tests);
  ASSERT_TRUE(best.ok()) << best.status().ToString();
  ASSERT_EQ(best->size(), 2u);
  EXPECT_DOUBLE_EQ((*best)[0].tokens_per_second, 99.0);
  EXPECT_DOUBLE_EQ((*best)[1].tokens_per_second, 138.130493);
}

TEST(PeerBenchTest, BuildsTheCommandLineOfStreams) {
  const std::vector<SpeedTest> tests = {{.n_gen = 24, .n_depth = 32, .n_streams = 8},
                                        {.n_gen = 24, .n_depth = 32, .n_streams = 16}};
  const std::string once =
      "llama-batched-bench -m '/m/a.gguf' -npl 8,16 -npp 32 -ntg 24 -c 896 -t 2 "
      "--output-format jsonl -fa ";
  EXPECT_EQ(BatchedPeerCommandLine("llama-batched-bench", "/m/a.gguf", tests, 2),
            once + "off && " + once + "on");
}

TEST(PeerBenchTest, BuildsTheCommandLine) {
  const std::vector<SpeedTest> tests = {
      {.n_prompt = 512}, {.n_gen = 64}, {.n_prompt = 8, .n_gen = 4}};
  EXPECT_EQ(PeerCommandLine("llama-bench", "/m/a b.gguf", tests, 2, "-fa 0,1"),
            "llama-bench -m '/m/a b.gguf' -p 512 -n 64 -pg 8,4 -t 2 -r 1 -o json -fa 0,1");
  EXPECT_EQ(PeerCommandLine("in {dir} run -m /mnt/{name}", "/m/it's.gguf",
                            {{.n_gen = 32, .n_depth = 4096}}, 1, ""),
            "in '/m' run -m /mnt/'it'\\''s.gguf' -p 0 -n 32 -d 4096 -t 1 -r 1 -o json");
}

}  // namespace
}  // namespace forge
