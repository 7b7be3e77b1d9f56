#include <fmt/format.h>
#include <gmock/gmock.h>

#include "daemon/telemetry/metrics_page.h"
#include "tests/daemon/exposition.h"
#include "tests/daemon/generate_fixture.h"

// What a running daemon counts.
namespace forge::testing {
namespace {

Exposition PageOf(TestDaemon& daemon) {
  const Result<Exposition> page =
      ParseExposition(RenderMetrics(*daemon.context().metrics, daemon.engine(), {"1.2.3", {}}));
  EXPECT_TRUE(page.ok()) << page.status().message();
  return page.ok() ? *page : Exposition();
}

// Waits up to five seconds until a sample has `value`: what the last message of a call tells may be
// there before what is counted at its end.
double Await(TestDaemon& daemon, const std::string& sample, double value) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  double seen = PageOf(daemon)[sample];
  while (seen != value && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    seen = PageOf(daemon)[sample];
  }
  return seen;
}

constexpr char kTiny[] = "{model=\"tiny\"}";
std::string OfTiny(const std::string& name) { return name + kTiny; }
std::string Ended(const std::string& outcome) {
  return "forge_request_duration_seconds_count{model=\"tiny\",outcome=\"" + outcome + "\"}";
}
std::string RejectedFor(const std::string& reason) {
  return "forge_rejected_total{reason=\"" + reason + "\"}";
}

class MetricsCountingTest : public GenerateTest {
 protected:
  Exposition Page() { return PageOf(daemon_); }
  double Await(const std::string& sample, double value) {
    return testing::Await(daemon_, sample, value);
  }
  void Generate(const std::string& text) {
    const grpc::Status status = StatusOf(TextTurn("tiny", text));
    ASSERT_TRUE(status.ok()) << status.error_message();
  }
};

TEST_F(MetricsCountingTest, CountsWhatATurnCameTo) {
  daemon_.engine().SetAnswerLength(5);
  Generate("abc");
  EXPECT_EQ(Await(Ended("completed"), 1.0), 1.0);
  const Exposition page = Page();
  EXPECT_EQ(page[OfTiny("forge_prompt_tokens_total")], 4.0);  // and the token before all texts
  EXPECT_EQ(page[OfTiny("forge_generation_tokens_total")], 5.0);
  EXPECT_EQ(page[OfTiny("forge_time_to_first_token_seconds_count")], 1.0);
  EXPECT_EQ(page[OfTiny("forge_time_per_output_token_seconds_sum")], 1.5 / 4);
  EXPECT_EQ(page[OfTiny("forge_queue_seconds_sum")], 0.25);
  EXPECT_EQ(page[OfTiny("forge_prefill_seconds_sum")], 0.5);
  EXPECT_EQ(page[OfTiny("forge_decode_seconds_sum")], 1.5);
  EXPECT_EQ(page.SumOf("forge_rejected_total"), 0.0);
}

TEST_F(MetricsCountingTest, CountsTheTurnsOfAConversationOneByOne) {
  OpenStream open(*stub_);
  for (int i = 0; i < 3; ++i) {
    open.stream->Write(TextTurn("tiny", "abc"));
    ASSERT_TRUE(ReadTurn(*open.stream).finished);
  }
  open.stream->WritesDone();
  EXPECT_TRUE(open.End().ok());
  EXPECT_EQ(Await(Ended("completed"), 3.0), 3.0);
  EXPECT_EQ(Page()[OfTiny("forge_time_to_first_token_seconds_count")], 3.0);
}

TEST_F(MetricsCountingTest, TellsTokensWhileATurnRuns) {
  daemon_.engine().SetAnswerLength(1'000'000);
  OpenStream open(*stub_);
  open.stream->Write(TextTurn("tiny", "abc"));
  v1::GenerateResponse response;
  for (int n_tokens = 0; n_tokens < 5 && open.stream->Read(&response);)
    n_tokens += response.has_token() ? 1 : 0;
  const Exposition page = Page();
  EXPECT_GE(page[OfTiny("forge_generation_tokens_total")], 5.0);
  EXPECT_EQ(page[OfTiny("forge_requests_running")], 1.0);
  EXPECT_EQ(page[OfTiny("forge_kv_usage_ratio")], 0.25);
  open.stream->Write(CancelTurn());
  ASSERT_TRUE(ReadTurn(*open.stream).finished);
  EXPECT_EQ(Await(Ended("cancelled"), 1.0), 1.0);
  EXPECT_EQ(Await(OfTiny("forge_requests_running"), 0.0), 0.0);
}

TEST_F(MetricsCountingTest, CountsAClientThatLeavesAsCancelledAndNotAsRejected) {
  daemon_.engine().SetAnswerLength(1'000'000);
  {
    OpenStream open(*stub_);
    open.stream->Write(TextTurn("tiny", "abc"));
    v1::GenerateResponse response;
    ASSERT_TRUE(open.stream->Read(&response));
    open.context.TryCancel();
    open.End();
  }
  EXPECT_EQ(Await(Ended("cancelled"), 1.0), 1.0);
  // What the turn had used until then is told by the engine when it is gone.
  EXPECT_TRUE(daemon_.engine().WaitForSessions(0));
  EXPECT_EQ(Page().SumOf("forge_rejected_total"), 0.0);
}

TEST_F(MetricsCountingTest, CountsATurnThatFailsOnceAndByItsReason) {
  daemon_.engine().SetTurnFailure(Unavailable("gone").WithReason("DEVICE_LOST"));
  EXPECT_FALSE(StatusOf(TextTurn("tiny", "abc")).ok());
  EXPECT_EQ(Await(RejectedFor("DEVICE_LOST"), 1.0), 1.0);
  EXPECT_EQ(Await(Ended("failed"), 1.0), 1.0);
  // Nothing of it is counted again by what goes over all calls again and again.
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  EXPECT_EQ(Page().SumOf("forge_rejected_total"), 1.0);
}

TEST_F(MetricsCountingTest, CountsRejectionsOfAllKindsOfCalls) {
  grpc::ClientContext unary, reading, load;
  v1::GetModelResponse model;
  v1::GetModelRequest get;
  get.set_model("absent");
  EXPECT_FALSE(stub_->GetModel(&unary, get, &model).ok());
  v1::EmbedRequest embed;
  embed.set_model("absent");
  v1::EmbedResponse embedding;
  const auto reader = stub_->Embed(&reading, embed);
  while (reader->Read(&embedding)) continue;
  EXPECT_FALSE(reader->Finish().ok());
  EXPECT_FALSE(RunLoad(*stub_, "absent").status.ok());
  EXPECT_EQ(Await(RejectedFor("MODEL_NOT_FOUND"), 3.0), 3.0);
}

TEST_F(MetricsCountingTest, CountsTheTokensOfTextsThatAreRead) {
  grpc::ClientContext embedding, scoring;
  v1::EmbedRequest embed;
  embed.set_model("tiny");
  embed.add_inputs()->mutable_text()->set_text("abcd");
  embed.add_inputs()->mutable_text()->set_text("ab");
  v1::EmbedResponse vector;
  const auto vectors = stub_->Embed(&embedding, embed);
  while (vectors->Read(&vector)) continue;
  ASSERT_TRUE(vectors->Finish().ok());
  EXPECT_EQ(Await(OfTiny("forge_prompt_tokens_total"), 8.0), 8.0);
  v1::ScoreRequest score;
  score.set_model("tiny");
  score.mutable_input()->mutable_text()->set_text("abcdef");
  v1::ScoreResponse scores;
  const auto parts = stub_->Score(&scoring, score);
  while (parts->Read(&scores)) continue;
  ASSERT_TRUE(parts->Finish().ok());
  EXPECT_EQ(Await(OfTiny("forge_prompt_tokens_total"), 15.0), 15.0);
  EXPECT_EQ(Page()[OfTiny("forge_prefill_seconds_count")], 3.0);
  EXPECT_EQ(Page().SumOf("forge_request_duration_seconds_count"), 0.0);
}

TEST_F(MetricsCountingTest, CountsStayAndGaugesGoWithTheirModel) {
  Generate("abc");
  EXPECT_EQ(Await(Ended("completed"), 1.0), 1.0);
  EXPECT_EQ(Page()[OfTiny("forge_requests_running")], 0.0);
  grpc::ClientContext context;
  v1::UnloadModelRequest request;
  v1::UnloadModelResponse response;
  request.set_model("tiny");
  ASSERT_TRUE(stub_->UnloadModel(&context, request, &response).ok());
  const Exposition page = Page();
  EXPECT_EQ(page[OfTiny("forge_generation_tokens_total")], 5.0);
  for (const char* gauge :
       {"forge_requests_running", "forge_requests_waiting", "forge_kv_usage_ratio"})
    EXPECT_EQ(page.CountWith(OfTiny(gauge)), 0u) << gauge;
  EXPECT_EQ(page["forge_models_resident"], 0.0);
  EXPECT_EQ(page["forge_evictions_total{reason=\"asked\"}"], 1.0);
}

// A client that asks for whatever it likes makes no series.
TEST_F(MetricsCountingTest, NamesOfModelsThatDoNotExistMakeNoSeries) {
  const size_t n_before = Page().samples.size();
  constexpr int kNames = 500;
  for (int i = 0; i < kNames; ++i) {
    EXPECT_FALSE(StatusOf(TextTurn(fmt::format("made-up-{}", i), "abc")).ok());
    EXPECT_FALSE(RunLoad(*stub_, fmt::format("made-up-too-{}", i)).status.ok());
  }
  EXPECT_EQ(Await(RejectedFor("MODEL_NOT_FOUND"), 2 * kNames), 2 * kNames);
  const Exposition page = Page();
  EXPECT_EQ(page.samples.size(), n_before);
  EXPECT_EQ(page.CountWith("made-up"), 0u);
}

TEST_F(MetricsCountingTest, MemorySumsUp) {
  daemon_.engine().SetBudgetBytes(10'000'000);
  const Exposition page = Page();
  const auto of_cpu = [&](const std::string& what) {
    return page["forge_memory_" + what + "_bytes{device=\"cpu\"}"];
  };
  EXPECT_EQ(of_cpu("total"), 10'000'000.0);
  EXPECT_EQ(of_cpu("own") + of_cpu("foreign") + of_cpu("free"), of_cpu("total"));
  EXPECT_GT(of_cpu("own"), 0.0);
  EXPECT_EQ(of_cpu("own"), of_cpu("reserved"));
  EXPECT_EQ(of_cpu("budget"), of_cpu("reserved") + of_cpu("free"));
}

TEST(MetricsOfResidencyTest, CountersNeverFallWhateverHappens) {
  TestDaemon daemon(
      [](Config& config) { config.residency.min_residence = std::chrono::milliseconds(0); });
  // Room for one of the models at a time: 70 % of it is for models, and each takes some 83,000.
  daemon.engine().SetBudgetBytes(150'000);
  for (const char* model : {"a", "b", "broken"}) daemon.AddModel(model, 1000);
  daemon.AddModel("large", 1'000'000);
  daemon.engine().SetLoadFailure("broken.gguf", DataLoss("cut").WithReason("MODEL_FILE_TRUNCATED"));
  const auto stub = daemon.NewStub();
  Exposition before = PageOf(daemon);
  for (int round = 0; round < 10; ++round) {
    const std::string model = round % 2 == 0 ? "a" : "b";
    // For the broken one the one before is evicted.
    EXPECT_ERROR(RunLoad(*stub, "broken").status, DATA_LOSS, "MODEL_FILE_TRUNCATED");
    const grpc::Status loaded = RunLoad(*stub, model).status;
    EXPECT_TRUE(loaded.ok()) << loaded.error_message();
    EXPECT_ERROR(RunLoad(*stub, "large").status, RESOURCE_EXHAUSTED, "GPU_BUDGET_EXCEEDED");
    OpenStream open(*stub);
    open.stream->Write(TextTurn(model, "abc"));
    open.stream->WritesDone();
    open.End();
    const Exposition page = PageOf(daemon);
    EXPECT_EQ(FallenCounter(before, page), "") << "round " << round;
    before = page;
  }
  EXPECT_EQ(before["forge_model_loads_total{result=\"loaded\"}"], 10.0);
  EXPECT_EQ(before["forge_model_loads_total{result=\"failed\"}"], 10.0);
  EXPECT_EQ(before["forge_model_loads_total{result=\"refused\"}"], 10.0);
  EXPECT_EQ(before["forge_evictions_total{reason=\"evicted\"}"], 9.0);
  EXPECT_EQ(before["forge_models_resident"], 1.0);
  EXPECT_EQ(before["forge_load_seconds_count"], 10.0);
  EXPECT_EQ(before[RejectedFor("MODEL_FILE_TRUNCATED")], 10.0);
  EXPECT_EQ(before[RejectedFor("GPU_BUDGET_EXCEEDED")], 10.0);
}

}  // namespace
}  // namespace forge::testing
