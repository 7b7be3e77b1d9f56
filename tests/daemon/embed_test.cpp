#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/daemon/daemon_fixture.h"

namespace forge::testing {
namespace {

using std::chrono::milliseconds;
using ::testing::ElementsAre;

class EmbedTest : public ::testing::Test {
 protected:
  EmbedTest() {
    daemon_.AddModel("tiny");
    daemon_.LoadModel("tiny");
  }

  static v1::EmbedRequest Request() {
    v1::EmbedRequest request;
    request.set_model("tiny");
    return request;
  }
  static void AddTokens(v1::EmbedRequest& request, std::initializer_list<int> ids) {
    auto& tokens = *request.add_inputs()->mutable_tokens();
    for (const int id : ids) tokens.add_ids(id);
  }
  grpc::Status Embed(const v1::EmbedRequest& request) {
    grpc::ClientContext context;
    const auto stream = stub_->Embed(&context, request);
    responses_.clear();
    v1::EmbedResponse response;
    while (stream->Read(&response)) responses_.push_back(response);
    return stream->Finish();
  }

  TestDaemon daemon_;
  std::unique_ptr<v1::ForgeService::Stub> stub_ = daemon_.NewStub();
  std::vector<v1::EmbedResponse> responses_;
};

TEST_F(EmbedTest, AnswersEveryInputInOrder) {
  v1::EmbedRequest request = Request();
  for (int i = 0; i < 100; ++i) AddTokens(request, {i % 26, 1});
  request.add_inputs()->mutable_text()->set_text("ab");
  ASSERT_TRUE(Embed(request).ok());
  ASSERT_EQ(responses_.size(), 101u);
  for (uint32_t i = 0; i < 100; ++i) {
    EXPECT_EQ(responses_[i].index(), i);
    EXPECT_EQ(responses_[i].token_count(), 2u);
    EXPECT_THAT(responses_[i].values(), ElementsAre(2.0f, static_cast<float>(i % 26 + 1)));
  }
  EXPECT_THAT(responses_[100].values(), ElementsAre(3.0f, FakeEngine::kBos + 1.0f));
  EXPECT_TRUE(daemon_.engine().WaitForSessions(0));
}

TEST_F(EmbedTest, PassesPoolingAndNormalizationWithTheirDefaults) {
  v1::EmbedRequest request = Request();
  AddTokens(request, {1});
  ASSERT_TRUE(Embed(request).ok());
  EXPECT_EQ(daemon_.engine().last_embed_request().pooling, Pooling::kMean);
  EXPECT_TRUE(daemon_.engine().last_embed_request().normalize);
  request.set_pooling(v1::POOLING_LAST);
  request.set_normalize(false);
  ASSERT_TRUE(Embed(request).ok());
  EXPECT_EQ(daemon_.engine().last_embed_request().pooling, Pooling::kLast);
  EXPECT_FALSE(daemon_.engine().last_embed_request().normalize);
  request.set_pooling(static_cast<v1::Pooling>(77));
  EXPECT_ERROR(Embed(request), INVALID_ARGUMENT, "INVALID_REQUEST");
}

TEST_F(EmbedTest, RefusesABatchWithABadInputBeforeAnyIsRead) {
  EXPECT_EQ(ErrorInfoOf(Embed(Request())).metadata().at("field"), "inputs");
  v1::EmbedRequest request = Request();
  AddTokens(request, {1});
  AddTokens(request, {});
  EXPECT_EQ(ErrorInfoOf(Embed(request)).metadata().at("field"), "inputs[1].tokens.ids");
  EXPECT_TRUE(responses_.empty());
  request = Request();
  AddTokens(request, {1});
  request.add_inputs()->mutable_text()->set_text(std::string(5000, 'a'));
  const grpc::Status status = Embed(request);
  EXPECT_ERROR(status, OUT_OF_RANGE, "CONTEXT_LENGTH_EXCEEDED");
  EXPECT_EQ(ErrorInfoOf(status).metadata().at("field"), "inputs[1]");
  EXPECT_TRUE(responses_.empty());
}

TEST_F(EmbedTest, RunsNoMoreAtATimeThanTheModelHasSlots) {
  daemon_.engine().SetTokenDelay(milliseconds(5));
  v1::EmbedRequest request = Request();
  for (int i = 0; i < 30; ++i) AddTokens(request, {1});
  grpc::ClientContext context;
  const auto stream = stub_->Embed(&context, request);
  v1::EmbedResponse response;
  uint32_t most = 0;
  while (stream->Read(&response)) most = std::max(most, daemon_.engine().n_running());
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_LE(most, 4u);
}

TEST_F(EmbedTest, AClientThatLeavesFreesItsSlots) {
  daemon_.engine().SetTokenDelay(milliseconds(20));
  v1::EmbedRequest request = Request();
  for (int i = 0; i < 1000; ++i) AddTokens(request, {1});
  grpc::ClientContext context;
  const auto stream = stub_->Embed(&context, request);
  v1::EmbedResponse response;
  ASSERT_TRUE(stream->Read(&response));
  context.TryCancel();
  EXPECT_TRUE(daemon_.engine().WaitForSessions(0));
}

TEST_F(EmbedTest, AFailureNamesTheModelAndEndsTheBatch) {
  daemon_.engine().SetTurnFailure(DataLoss("no numbers").WithReason("MODEL_FILE_INVALID"));
  v1::EmbedRequest request = Request();
  for (int i = 0; i < 10; ++i) AddTokens(request, {1});
  EXPECT_ERROR(Embed(request), DATA_LOSS, "MODEL_FILE_INVALID");
  EXPECT_TRUE(daemon_.engine().WaitForSessions(0));
}

}  // namespace
}  // namespace forge::testing
