#include "daemon/telemetry/metrics.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <set>

#include "daemon/telemetry/metrics_page.h"
#include "daemon/telemetry/turn_meter.h"
#include "tests/daemon/exposition.h"
#include "tests/daemon/fake_engine.h"

namespace forge::testing {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;

std::vector<uint64_t> CountsOf(const Histogram& histogram) {
  std::vector<uint64_t> counts;
  for (const auto& bucket : histogram.Collect().histogram.bucket)
    counts.push_back(bucket.cumulative_count);
  return counts;
}

TEST(HistogramTest, CountsWithTheFirstBoundThatIsNotBelow) {
  static constexpr std::array kBounds = {1.0, 2.0};
  Histogram histogram(kBounds);
  for (const double value : {0.0, 1.0, 1.5, 2.0, 2.5, 100.0}) histogram.Observe(value);
  EXPECT_THAT(CountsOf(histogram), ::testing::ElementsAre(2, 4, 6));
  EXPECT_EQ(histogram.Collect().histogram.sample_count, 6u);
  EXPECT_EQ(histogram.Collect().histogram.sample_sum, 107.0);
}

TEST(HistogramTest, LosesNothingThatThreadsObserveAtOnce) {
  Histogram histogram(kTokenBounds);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&] {
      for (int n = 0; n < 10'000; ++n) histogram.Observe(0.25);
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(histogram.Collect().histogram.sample_count, 40'000u);
  EXPECT_EQ(histogram.Collect().histogram.sample_sum, 10'000.0);
}

// ---- Turns

GenerateUsage UsageOf(uint32_t n_prompt, uint32_t n_output) {
  GenerateUsage usage;
  usage.prompt_tokens = n_prompt;
  usage.output_tokens = n_output;
  usage.queue_time = milliseconds(20);
  usage.prefill_time = milliseconds(300);
  usage.decode_time = milliseconds(4000);
  return usage;
}

uint64_t Observed(const Histogram& histogram) { return histogram.Collect().histogram.sample_count; }

TEST(TurnMeterTest, CountsTokensAsTheyComeAndWhatIsLeftOfThemInTheEnd) {
  ModelMetrics model("m");
  TurnMeter meter;
  meter.Begin();
  meter.UseModel(model);
  for (int i = 0; i < 3; ++i) meter.CountToken();
  EXPECT_EQ(model.generation_tokens.Value(), 3.0);
  EXPECT_EQ(Observed(model.time_to_first_token), 1u);
  EXPECT_EQ(model.prompt_tokens.Value(), 0.0);
  meter.TakeUsage(UsageOf(7, 5));
  EXPECT_EQ(model.generation_tokens.Value(), 5.0);
  EXPECT_EQ(model.prompt_tokens.Value(), 7.0);
  EXPECT_EQ(model.time_per_output_token.Collect().histogram.sample_sum, 1.0);
}

TEST(TurnMeterTest, CountsATurnOnceHoweverOftenItIsToldOfItsEnd) {
  ModelMetrics model("m");
  TurnMeter meter;
  for (int turn = 1; turn <= 2; ++turn) {
    meter.Begin();
    meter.UseModel(model);
    meter.CountToken();
    for (int i = 0; i < 2; ++i) meter.TakeUsage(UsageOf(1, 1));
    meter.End(TurnOutcome::kCompleted);
    meter.End(TurnOutcome::kFailed);
    EXPECT_EQ(model.prompt_tokens.Value(), turn);
    EXPECT_EQ(Observed(model.request_duration[0]), static_cast<uint64_t>(turn));
    EXPECT_EQ(Observed(model.request_duration[2]), 0u);
    EXPECT_EQ(Observed(model.time_to_first_token), static_cast<uint64_t>(turn));
  }
}

TEST(TurnMeterTest, LeavesOutTurnsWithoutAModel) {
  TurnMeter meter;
  meter.Begin();
  meter.CountToken();
  meter.TakeUsage(UsageOf(1, 1));
  meter.End(TurnOutcome::kFailed);
  ModelMetrics model("m");
  meter.Begin();
  meter.UseModel(model);
  meter.End(TurnOutcome::kFailed);
  EXPECT_EQ(Observed(model.request_duration[2]), 1u);
  EXPECT_EQ(model.generation_tokens.Value(), 0.0);
}

TEST(ModelMetricsTest, CountsNoPromptThatWasNeverRead) {
  ModelMetrics model("m");
  GenerateUsage usage;
  usage.prompt_tokens = 1000;
  usage.queue_time = milliseconds(20);
  model.Add(usage);
  EXPECT_EQ(model.prompt_tokens.Value(), 0.0);
  EXPECT_EQ(Observed(model.queue_time), 1u);
  EXPECT_EQ(Observed(model.prefill_time), 0u);
}

// ---- The page

class MetricsTest : public ::testing::Test {
 protected:
  Exposition Page() {
    text_ = RenderMetrics(metrics_, engine_, {"1.2.3", {}});
    Result<Exposition> page = ParseExposition(text_);
    EXPECT_TRUE(page.ok()) << page.status().message() << "\n" << text_;
    return page.ok() ? *page : Exposition();
  }
  void Load(const std::string& name, ModelId id) {
    metrics_.Count({.kind = ResidencyEvent::Kind::kLoaded,
                    .model = name,
                    .model_id = id,
                    .duration = milliseconds(1500)});
  }
  void Unload(ModelId id, ResidencyAction::UnloadCause cause) {
    metrics_.Count({.kind = ResidencyEvent::Kind::kUnloading, .model_id = id, .cause = cause});
  }

  FakeEngine engine_;
  Metrics metrics_{{"MODEL_NOT_FOUND", "QUEUE_FULL"}};
  std::string text_;
};

TEST_F(MetricsTest, ThePageHasEveryMetricOfTheListAndNoOther) {
  std::map<std::string, std::string> listed, told;
  for (const MetricInfo* metric : MetricList()) {
    const bool is_gauge = metric->type == prometheus::MetricType::Gauge;
    const bool is_counter = metric->type == prometheus::MetricType::Counter;
    listed[std::string(metric->name)] = is_gauge ? "gauge" : is_counter ? "counter" : "histogram";
  }
  for (const auto& [name, family] : Page().families) told[name] = family.type;
  EXPECT_EQ(told, listed);
}

TEST_F(MetricsTest, SamplesHaveTheLabelsOfTheList) {
  Load("m", 1);
  metrics_.ForModel("m");
  const Exposition page = Page();
  for (const MetricInfo* metric : MetricList()) {
    for (const auto& [sample, value] : page.samples) {
      if (sample.substr(0, sample.find('{')) != metric->name) continue;
      std::string labels;
      for (size_t at = sample.find('{'); at != std::string::npos; at = sample.find(",", at + 1))
        labels +=
            (labels.empty() ? "" : ", ") + sample.substr(at + 1, sample.find('=', at) - at - 1);
      EXPECT_EQ(labels, metric->labels) << sample;
    }
  }
}

TEST_F(MetricsTest, DocumentationListsExactlyThese) {
  std::ifstream file(std::string(FORGE_SOURCE_DIR) + "/docs/metrics.md");
  std::set<std::string> documented, known;
  for (std::string line; std::getline(file, line);)
    if (line.starts_with("| `")) documented.insert(line);
  for (const MetricInfo* metric : MetricList()) {
    const bool is_gauge = metric->type == prometheus::MetricType::Gauge;
    const bool is_counter = metric->type == prometheus::MetricType::Counter;
    known.insert(fmt::format("| `{}` | {} | {} | {} | {} |", metric->name,
                             is_gauge     ? "gauge"
                             : is_counter ? "counter"
                                          : "histogram",
                             metric->unit, metric->labels.empty() ? "-" : metric->labels,
                             metric->help));
  }
  EXPECT_EQ(documented, known);
}

TEST_F(MetricsTest, CountsLoadsAndWhatHadToGo) {
  using enum ResidencyEvent::Kind;
  Load("a", 1);
  Load("b", 2);
  for (const auto kind : {kLoadFailed, kLoadStopped, kRefused, kRefused, kAdmitted, kWaiting})
    metrics_.Count({.kind = kind, .model = "c"});
  Unload(1, ResidencyAction::UnloadCause::kKeepAlive);
  const Exposition page = Page();
  EXPECT_EQ(page["forge_model_loads_total{result=\"loaded\"}"], 2.0);
  EXPECT_EQ(page["forge_model_loads_total{result=\"failed\"}"], 1.0);
  EXPECT_EQ(page["forge_model_loads_total{result=\"stopped\"}"], 1.0);
  EXPECT_EQ(page["forge_model_loads_total{result=\"refused\"}"], 2.0);
  EXPECT_EQ(page["forge_load_seconds_count"], 2.0);
  EXPECT_EQ(page["forge_load_seconds_sum"], 3.0);
  EXPECT_EQ(page["forge_load_seconds_bucket{le=\"1\"}"], 0.0);
  EXPECT_EQ(page["forge_load_seconds_bucket{le=\"2.5\"}"], 2.0);
  EXPECT_EQ(page["forge_evictions_total{reason=\"keep_alive\"}"], 1.0);
  EXPECT_EQ(page["forge_evictions_total{reason=\"evicted\"}"], 0.0);
  EXPECT_EQ(page["forge_models_resident"], 1.0);
}

TEST_F(MetricsTest, NamesNeitherBreakThePageNorEachOther) {
  const std::string hostile = "a\"} 1\nforge_models_resident 99\\\x01\xff";
  Load(hostile, 1);
  const Exposition page = Page();
  EXPECT_EQ(page["forge_models_resident"], 1.0);
  EXPECT_EQ(LabelOf(hostile), "a\"} 1?forge_models_resident 99\\?\xef\xbf\xbd");
  EXPECT_EQ(page["forge_prompt_tokens_total{model=\"a\\\"} 1?forge_models_resident 99\\\\?"
                 "\xef\xbf\xbd\"}"],
            0.0);
  EXPECT_EQ(LabelOf(std::string(300, 'x')), std::string(256, 'x'));
}

TEST_F(MetricsTest, SharesOneSeriesAmongModelsBeyondTheHundredth) {
  for (ModelId id = 1; id <= 300; ++id) Load(fmt::format("model-{}", id), id);
  for (int i = 1; i <= 300; ++i)
    metrics_.ForModel(fmt::format("model-{}", i)).prompt_tokens.Increment();
  const Exposition page = Page();
  EXPECT_EQ(page.CountWith("forge_prompt_tokens_total{"), 101u);
  EXPECT_EQ(page["forge_prompt_tokens_total{model=\"_other\"}"], 200.0);
  EXPECT_EQ(page["forge_prompt_tokens_total{model=\"model-1\"}"], 1.0);
  EXPECT_EQ(page["forge_models_resident"], 300.0);
}

TEST_F(MetricsTest, SharesOneSeriesAmongReasonsThatAreNotKnown) {
  const size_t n_before = Page().samples.size();
  metrics_.CountRejection("QUEUE_FULL");
  for (int i = 0; i < 50; ++i) metrics_.CountRejection(fmt::format("REASON_{}", i));
  const Exposition page = Page();
  EXPECT_EQ(page["forge_rejected_total{reason=\"QUEUE_FULL\"}"], 1.0);
  EXPECT_EQ(page["forge_rejected_total{reason=\"_other\"}"], 50.0);
  EXPECT_EQ(page.samples.size(), n_before);
}

TEST_F(MetricsTest, WritesNumbersExactly) {
  engine_.SetBudgetBytes((uint64_t{1} << 40) + 1);
  const Exposition page = Page();
  EXPECT_THAT(text_, HasSubstr("forge_memory_total_bytes{device=\"cpu\"} 1099511627777\n"));
  EXPECT_EQ(page["forge_build_info{version=\"1.2.3\"}"], 1.0);
  EXPECT_EQ(page["forge_start_time_seconds"], 0.0);
}

}  // namespace
}  // namespace forge::testing
