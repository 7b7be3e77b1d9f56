// Scores and embeddings by the whole engine.
#include <gmock/gmock.h>

#include <chrono>
#include <cmath>
#include <cstring>
#include <thread>

#include "engine/gguf/gguf_file.h"
#include "kernels/cpu/cpu_device.h"
#include "tests/engine/runtime/collecting_sink.h"
#include "tests/engine/runtime/fake_model.h"
#include "tests/engine/runtime/reading_sinks.h"
#include "tests/support/temporary_files.h"
#include "tests/support/tiny_model.h"

namespace forge {
namespace {

using testing::CollectingEmbedding;
using testing::CollectingScores;
using testing::Greedy;
using testing::ReadingResult;
using testing::TempFile;
using testing::TinyModelOptions;

std::unique_ptr<Engine> MakeEngine() {
  EngineOptions options;
  options.devices.push_back(CreateCpuDevice({}).value());
  return Engine::Create(std::move(options)).value();
}

std::vector<TokenId> Tokens(size_t n, size_t salt = 0) {
  std::vector<TokenId> tokens;
  for (size_t i = 0; i < n; ++i) tokens.push_back(static_cast<TokenId>(3 + (i * 11 + salt) % 250));
  return tokens;
}

std::string TinyModelBytes() {
  TinyModelOptions options;
  options.n_context = 4096;
  return testing::MakeTinyModel(options).Build();
}

class EngineReadingTest : public ::testing::Test {
 protected:
  ModelId Load(const std::filesystem::path& path, uint32_t prefill_chunk) {
    LoadOptions options;
    options.prefill_chunk = prefill_chunk;
    return engine_->Load(path.string(), "", options, nullptr).value();
  }
  std::shared_ptr<CollectingScores> Start(ModelId model, ScoreRequest request) {
    auto sink = std::make_shared<CollectingScores>();
    sessions_.push_back(engine_->OpenSession(model).value());
    const Status status = engine_->Score(sessions_.back(), std::move(request), sink);
    EXPECT_TRUE(status.ok()) << status.ToString();
    return sink;
  }
  std::vector<TokenScore> Score(ModelId model, ScoreRequest request) {
    const ReadingResult result = Start(model, std::move(request))->Wait();
    EXPECT_TRUE(result.status.ok()) << result.status.ToString();
    return result.scores;
  }
  std::vector<float> Embed(ModelId model, EmbedRequest request) {
    auto sink = std::make_shared<CollectingEmbedding>();
    sessions_.push_back(engine_->OpenSession(model).value());
    const Status status = engine_->Embed(sessions_.back(), std::move(request), sink);
    EXPECT_TRUE(status.ok()) << status.ToString();
    return sink->Wait().embedding.value();
  }

  TempFile file_{TinyModelBytes()};
  std::unique_ptr<Engine> engine_ = MakeEngine();
  std::vector<SessionId> sessions_;
};

// As bits: -0 and 0 differ, and NaN equals itself.
void ExpectSameBits(const std::vector<TokenScore>& a, const std::vector<TokenScore>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].token, b[i].token);
    EXPECT_EQ(std::memcmp(&a[i].logprob, &b[i].logprob, sizeof(float)), 0) << "token " << i;
    ASSERT_EQ(a[i].top_logprobs.size(), b[i].top_logprobs.size());
    for (size_t k = 0; k < a[i].top_logprobs.size(); ++k) {
      EXPECT_EQ(a[i].top_logprobs[k].token, b[i].top_logprobs[k].token);
      EXPECT_EQ(a[i].top_logprobs[k].logprob, b[i].top_logprobs[k].logprob);
    }
  }
}

TEST_F(EngineReadingTest, ScoresDoNotDependOnChunksNorOnWhatElseRuns) {
  const ScoreRequest request = {.tokens = Tokens(300), .top_logprobs = 3};
  const ModelId whole = Load(file_.path(), 512);
  const std::vector<TokenScore> alone = Score(whole, request);
  ASSERT_EQ(alone.size(), 299u);
  for (const uint32_t chunk : {1u, 7u, 128u}) {
    SCOPED_TRACE(chunk);
    ExpectSameBits(Score(Load(file_.path(), chunk), request), alone);
  }
  const ModelId chunked = Load(file_.path(), 7);
  const SessionId session = engine_->OpenSession(chunked).value();
  GenerateRequest endless = Greedy(Tokens(20, 5), 0);
  endless.ignore_end = true;
  const auto stream = testing::Submit(*engine_, session, endless);
  stream->WaitForTokens(3);
  const auto other = Start(chunked, {.tokens = Tokens(200, 77)});
  ExpectSameBits(Score(chunked, request), alone);
  EXPECT_EQ(other->Wait().scores.size(), 199u);
  engine_->CloseSession(session);
}

TEST_F(EngineReadingTest, ScoresEqualTheLogprobsThatGeneratingReports) {
  const ModelId model = Load(file_.path(), 64);
  GenerateRequest request = Greedy(Tokens(40), 100);
  request.ignore_end = true;
  request.top_logprobs = 5;
  const testing::Answer answer = testing::Generate(*engine_, model, request);
  ASSERT_EQ(answer.tokens.size(), 100u);
  std::vector<TokenId> sequence = request.prompt;
  sequence.insert(sequence.end(), answer.tokens.begin(), answer.tokens.end());
  const std::vector<TokenScore> scores = Score(model, {.tokens = sequence, .top_logprobs = 5});
  std::vector<TokenScore> generated;
  for (const TokenEvent& event : answer.events)
    generated.push_back({event.token, event.logprob, event.top_logprobs});
  ExpectSameBits({scores.begin() + 39, scores.end()}, generated);
}

TEST_F(EngineReadingTest, ReadingTakesNoDeviceMemoryOfItsOwn) {
  const ModelId model = Load(file_.path(), 512);
  const uint64_t planned = engine_->GetModel(model)->info.total_bytes();
  EXPECT_EQ(engine_->Memory().front().allocated_bytes, planned);
  Score(model, {.tokens = Tokens(2000)});
  Embed(model, {.tokens = Tokens(2000)});
  EXPECT_EQ(engine_->Memory().front().allocated_bytes, planned);
}

TEST_F(EngineReadingTest, ClosingTheSessionEndsALongReadingSoon) {
  const ModelId model = Load(file_.path(), 16);
  const auto sink = Start(model, {.tokens = Tokens(4096)});
  while (sink->Result().scores.empty()) std::this_thread::yield();
  const auto start = std::chrono::steady_clock::now();
  engine_->CloseSession(sessions_.back());
  EXPECT_EQ(engine_->GetModel(model)->slots_busy, 0u);
  EXPECT_EQ(sink->Wait().status.code(), StatusCode::kCancelled);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(500));
  EXPECT_LT(sink->Result().scores.size(), 4095u);
}

// The same model with layers that add nothing, so that the hidden state of a token is its
// embedding.
TempFile WriteWithoutLayers(std::string bytes) {
  const TempFile original(bytes);
  const std::unique_ptr<GgufFile> file = GgufFile::Open(original.path().string()).value();
  for (const GgufTensor& tensor : file->tensors())
    if (tensor.name.ends_with("attn_output.weight") || tensor.name.ends_with("ffn_down.weight"))
      std::memset(bytes.data() + tensor.offset_bytes, 0, tensor.size_bytes);
  return TempFile(bytes);
}

// The rows of a float32 tensor.
std::vector<std::vector<double>> ReadTensor(const std::string& bytes, const std::string& name) {
  const TempFile written(bytes);
  const std::unique_ptr<GgufFile> file = GgufFile::Open(written.path().string()).value();
  const GgufTensor& tensor = *file->FindTensor(name);
  std::vector<std::vector<double>> rows(tensor.n_rows(),
                                        std::vector<double>(tensor.row_elements()));
  const char* next = bytes.data() + tensor.offset_bytes;
  for (std::vector<double>& row : rows) {
    for (double& value : row) {
      float stored = 0.0f;
      std::memcpy(&stored, next, sizeof(stored));
      value = static_cast<double>(stored);
      next += sizeof(stored);
    }
  }
  return rows;
}

std::vector<double> RmsNorm(const std::vector<double>& x, const std::vector<double>& weight) {
  double sum_of_squares = 0.0;
  for (const double value : x) sum_of_squares += value * value;
  const double scale = 1.0 / std::sqrt(sum_of_squares / static_cast<double>(x.size()) + 1e-5);
  std::vector<double> y(x.size());
  for (size_t i = 0; i < x.size(); ++i) y[i] = x[i] * scale * weight[i];
  return y;
}

void ExpectClose(const std::vector<float>& got, const std::vector<double>& expected) {
  ASSERT_EQ(got.size(), expected.size());
  for (size_t i = 0; i < got.size(); ++i)
    EXPECT_NEAR(static_cast<double>(got[i]), expected[i], 2e-6) << "element " << i;
}

TEST_F(EngineReadingTest, EmbeddingsOfAModelWithoutLayersFollowFromItsTable) {
  const std::string bytes = TinyModelBytes();
  const auto table = ReadTensor(bytes, "token_embd.weight");
  const auto norm = ReadTensor(bytes, "output_norm.weight").front();
  const TempFile file = WriteWithoutLayers(bytes);
  const std::vector<TokenId> tokens = Tokens(50);
  std::vector<double> mean(norm.size(), 0.0);
  for (const TokenId token : tokens) {
    const std::vector<double> hidden = RmsNorm(table[static_cast<size_t>(token)], norm);
    for (size_t i = 0; i < mean.size(); ++i) mean[i] += hidden[i] / 50.0;
  }
  for (const uint32_t chunk : {7u, 64u}) {
    const ModelId model = Load(file.path(), chunk);
    ExpectClose(Embed(model, {tokens, Pooling::kMean, false}), mean);
    ExpectClose(Embed(model, {tokens, Pooling::kCls, false}),
                RmsNorm(table[static_cast<size_t>(tokens.front())], norm));
    ExpectClose(Embed(model, {tokens, Pooling::kLast, false}),
                RmsNorm(table[static_cast<size_t>(tokens.back())], norm));
    double length = 0.0;
    for (const double value : mean) length += value * value;
    std::vector<double> unit = mean;
    for (double& value : unit) value /= std::sqrt(length);
    ExpectClose(Embed(model, {tokens, Pooling::kMean, true}), unit);
  }
}

// The output head times the last hidden state gives the logits, whose softmax scores report.
TEST_F(EngineReadingTest, TheLastHiddenStateIsWhatTheOutputHeadSees) {
  const auto head = ReadTensor(TinyModelBytes(), "output.weight");
  const ModelId model = Load(file_.path(), 16);
  std::vector<TokenId> tokens = Tokens(40);
  const std::vector<float> hidden = Embed(model, {tokens, Pooling::kLast, false});
  std::vector<double> logits;
  double sum = 0.0;
  for (const std::vector<double>& row : head) {
    double logit = 0.0;
    for (size_t i = 0; i < row.size(); ++i) logit += row[i] * static_cast<double>(hidden[i]);
    logits.push_back(logit);
    sum += std::exp(logit);
  }
  tokens.push_back(0);
  const auto n_vocab = static_cast<uint32_t>(head.size());
  const std::vector<TokenScore> scores =
      Score(model, {.tokens = tokens, .top_logprobs = std::min(n_vocab, 256u)});
  for (const TokenLogprob& top : scores.back().top_logprobs)
    EXPECT_NEAR(static_cast<double>(top.logprob),
                logits[static_cast<size_t>(top.token)] - std::log(sum), 2e-4);
}

TEST_F(EngineReadingTest, EmbeddingsKnowNothingOfTheScaleOfLogits) {
  const auto embed = [&](float logit_scale) {
    TinyModelOptions options = {.architecture = "granite"};
    options.logit_scale = logit_scale;
    const TempFile file(testing::MakeTinyModel(options).Build());
    return Embed(Load(file.path(), 512), {Tokens(20), Pooling::kMean, false});
  };
  EXPECT_EQ(embed(8.0f), embed(1.0f));  // powers of two round nothing
}

TEST_F(EngineReadingTest, EmbeddingsDoNotDependOnChunks) {
  const EmbedRequest request = {Tokens(200), Pooling::kMean, true};
  const std::vector<float> whole = Embed(Load(file_.path(), 512), request);
  EXPECT_EQ(Embed(Load(file_.path(), 7), request), whole);
}

TEST_F(EngineReadingTest, TheFileChoosesThePooling) {
  for (const auto& [type, pooling] :
       std::initializer_list<std::pair<uint32_t, Pooling>>{{0, Pooling::kMean},
                                                           {1, Pooling::kMean},
                                                           {2, Pooling::kCls},
                                                           {3, Pooling::kLast},
                                                           {4, Pooling::kMean}}) {
    const TempFile file(testing::MakeTinyModel({}).AddUint32("llama.pooling_type", type).Build());
    EXPECT_EQ(engine_->Inspect(file.path().string(), "", {})->pooling, pooling) << type;
  }
}

TEST_F(EngineReadingTest, ReportsSpecialTokensTemplateAndContexts) {
  const ModelReport report = engine_->Report(file_.path().string(), "", {}).value();
  ASSERT_GE(report.special_tokens.size(), 2u);
  EXPECT_EQ(report.special_tokens[0].role, "bos");
  EXPECT_EQ(report.special_tokens[0].text, "<|endoftext|>");
  EXPECT_FALSE(report.special_tokens[0].is_added);
  EXPECT_NE(report.chat_template_source.find("<|im_start|>"), std::string::npos);
  ASSERT_EQ(report.context_plans.size(), 2u);
  EXPECT_EQ(report.context_plans[0].context_length, 2048u);
  EXPECT_EQ(report.context_plans[1].context_length, 4096u);
  LoadOptions options;
  options.context_length = 2048;
  const ModelFileInfo info = engine_->Inspect(file_.path().string(), "", options).value();
  EXPECT_EQ(report.context_plans[0].kv_bytes, info.kv_bytes);
  EXPECT_EQ(report.context_plans[0].scratch_bytes, info.scratch_bytes);
  EXPECT_TRUE(report.context_plans[1].fits);
  EXPECT_EQ(report.largest_context_length, 4096u);
}

TEST(EngineReportTest, FindsTheLargestContextThatFits) {
  const TempFile file(TinyModelBytes());
  EngineOptions options;
  options.devices.push_back(CreateCpuDevice({}).value());
  LoadOptions load;
  load.context_length = 1000;
  const std::unique_ptr<Engine> roomy = MakeEngine();
  options.policy.cap_bytes = roomy->Inspect(file.path().string(), "", load)->total_bytes();
  const std::unique_ptr<Engine> engine = Engine::Create(std::move(options)).value();
  const ModelReport report = engine->Report(file.path().string(), "", {}).value();
  EXPECT_EQ(report.largest_context_length, 1024u);  // to the end of the block of 32
  EXPECT_FALSE(report.context_plans[0].fits);
  load.context_length = report.largest_context_length;
  EXPECT_TRUE(engine->Load(file.path().string(), "", load, nullptr).ok());
}

}  // namespace
}  // namespace forge
