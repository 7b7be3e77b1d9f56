#include "bench/model_runner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "bench/comparison.h"
#include "bench/measure.h"
#include "tests/support/temporary_files.h"
#include "tests/support/tiny_model.h"

namespace forge {
namespace {

class ModelRunnerTest : public ::testing::Test {
 protected:
  ModelRunnerTest() { testing::WriteTinyModel(file_.path()); }

  std::string path() const { return file_.path().string(); }
  std::unique_ptr<ModelRunner> MakeRunner(uint32_t max_sequences) {
    Result<std::unique_ptr<ModelRunner>> runner = ModelRunner::Create(
        {.model_path = path(), .n_threads = 2, .n_batch = 16, .max_sequences = max_sequences});
    FORGE_CHECK(runner.ok(), runner.status().ToString());
    return std::move(*runner);
  }

 private:
  const testing::TempFile file_;
};

TEST_F(ModelRunnerTest, RunsEveryKindOfTest) {
  const auto runner = MakeRunner(1);
  for (const SpeedTest& test :
       {SpeedTest{.n_prompt = 40}, SpeedTest{.n_gen = 8}, SpeedTest{.n_prompt = 1},
        SpeedTest{.n_prompt = 20, .n_gen = 8}, SpeedTest{.n_prompt = 20, .n_depth = 100},
        SpeedTest{.n_gen = 8, .n_depth = 100},
        SpeedTest{.n_prompt = 20, .n_gen = 8, .n_depth = 100}}) {
    const Result<ModelRunner::Seconds> time = runner->Run(test);
    ASSERT_TRUE(time.ok()) << test.Name() << ": " << time.status().ToString();
    EXPECT_GT(time->count(), 0) << test.Name();
  }
  EXPECT_GT(runner->load_time().count(), 0);
}

TEST_F(ModelRunnerTest, FillsTheContextThatItsTestsNeed) {
  const std::vector<SpeedTest> tests = {{.n_prompt = 100, .n_gen = 50, .n_depth = 300}};
  const auto runner = ModelRunner::Create({.model_path = path(),
                                           .n_threads = 1,
                                           .n_batch = 64,
                                           .context_length = ContextFor(tests, 64)});
  ASSERT_TRUE(runner.ok()) << runner.status().ToString();
  const Result<ModelRunner::Seconds> time = (*runner)->Run(tests[0]);
  EXPECT_TRUE(time.ok()) << time.status().ToString();
}

TEST_F(ModelRunnerTest, RefusesWhatCannotBeMeasured) {
  const auto runner = MakeRunner(1);
  EXPECT_EQ(runner->Run({.n_prompt = 1, .n_depth = 10}).status().code(),
            StatusCode::kInvalidArgument);
  EXPECT_EQ(runner->Run({.n_prompt = 4000}).status().code(), StatusCode::kOutOfRange);
}

TEST_F(ModelRunnerTest, CountsTheTokensOfAllStreams) {
  const auto runner = MakeRunner(4);
  const SpeedTest four = {.n_gen = 8, .n_depth = 20, .n_streams = 4};
  EXPECT_EQ(four.n_tokens(), 32u);
  const Result<ModelRunner::Seconds> time = runner->Run(four);
  ASSERT_TRUE(time.ok()) << time.status().ToString();
  EXPECT_GT(time->count(), 0);
  for (const SpeedTest& test :
       {SpeedTest{.n_gen = 8, .n_streams = 4}, SpeedTest{.n_depth = 20, .n_streams = 4},
        SpeedTest{.n_prompt = 8, .n_gen = 8, .n_depth = 20, .n_streams = 4}})
    EXPECT_EQ(runner->Run(test).status().code(), StatusCode::kInvalidArgument) << test.Name();
}

TEST_F(ModelRunnerTest, VerifiesGreedyTokensOfASoundModel) {
  const Status verified = VerifyGreedy({.model_path = path(), .n_threads = 2, .n_batch = 16});
  EXPECT_TRUE(verified.ok()) << verified.ToString();
}

TEST_F(ModelRunnerTest, MeasuresAModelAndItsLoads) {
  MeasureOptions options;
  options.tests = {{.n_prompt = 8}, {.n_gen = 4}};
  options.streams = {{.n_gen = 8, .n_depth = 16}, {.n_gen = 8, .n_depth = 16, .n_streams = 2}};
  options.n_threads = 1;
  options.repetitions = 2;
  options.has_ops = true;
  Result<SpeedReport> report = MeasureModel(path(), options);
  ASSERT_TRUE(report.ok()) << report.status().ToString();
  ASSERT_EQ(report->tests.size(), 2u);
  EXPECT_EQ(report->tests[0].seconds.size(), 2u);
  EXPECT_GT(report->tests[0].limits.read_gbs, 0);
  EXPECT_GT(report->tests[0].limits.f32_gflops, 0);
  EXPECT_FALSE(report->tests[1].ops.empty());
  EXPECT_EQ(report->streams.size(), 2u);
  std::vector<SpeedReport> reports = {*report, *report};
  ASSERT_TRUE(MeasureLoads(options, reports).ok());
  EXPECT_EQ(reports[0].load.load_seconds.size(), 2u);
  EXPECT_EQ(reports[0].load.switch_seconds.size(), 1u);  // the first load found nothing to replace
  EXPECT_EQ(reports[1].load.switch_seconds.size(), 2u);
}

// A stand-in for llama-bench that answers every call with the same two results.
TEST_F(ModelRunnerTest, ComparesWithAPeerInRounds) {
  const testing::TempFile peer(
      "echo '[{\"n_prompt\":0,\"n_gen\":4,\"avg_ts\":10.0,\"n_threads\":1,\"build_number\":7,"
      "\"build_commit\":\"abc\"},{\"n_prompt\":8,\"n_gen\":0,\"avg_ts\":1e9,\"n_threads\":1,"
      "\"build_number\":7,\"build_commit\":\"abc\"}]'\n",
      ".sh");
  ComparisonOptions options;
  options.peer = "sh " + peer.path().string();
  options.n_threads = options.n_peer_threads = 1;
  options.n_busy_threads = 1;
  options.rounds = 3;
  const Result<Comparison> comparison = Compare(path(), {{.n_prompt = 8}, {.n_gen = 4}}, options);
  ASSERT_TRUE(comparison.ok()) << comparison.status().ToString();
  EXPECT_EQ(comparison->peer_build, "build 7 (abc)");
  ASSERT_EQ(comparison->tests.size(), 2u);
  EXPECT_EQ(comparison->tests[0].ours.size(), 3u);
  EXPECT_EQ(comparison->tests[0].theirs, (std::vector<double>{1e9, 1e9, 1e9}));
  EXPECT_LT(comparison->tests[0].Ratio().ratio, 1);
  EXPECT_GT(comparison->tests[1].Ratio().ratio, 1);
}

}  // namespace
}  // namespace forge
