#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "tests/daemon/daemon_fixture.h"

namespace forge::testing {
namespace {

using ::testing::ElementsAre;

class TokenizeTest : public ::testing::Test {
 protected:
  TokenizeTest() {
    daemon_.AddModel("tiny");
    daemon_.LoadModel("tiny");
  }
  TestDaemon daemon_;
  std::unique_ptr<v1::ForgeService::Stub> stub_ = daemon_.NewStub();
};

TEST_F(TokenizeTest, GivesIdsAndTheirTexts) {
  grpc::ClientContext context;
  v1::TokenizeRequest request;
  request.set_model("tiny");
  request.set_text("abz");
  request.set_add_special(true);
  v1::TokenizeResponse response;
  ASSERT_TRUE(stub_->Tokenize(&context, request, &response).ok());
  EXPECT_THAT(response.ids(), ElementsAre(FakeEngine::kBos, 0, 1, 25));
  EXPECT_THAT(response.texts(), ElementsAre("<s>", "a", "b", "\xef\xbf\xbd"));
}

TEST_F(TokenizeTest, RendersAChatAsGenerateDoes) {
  v1::TokenizeRequest request;
  request.set_model("tiny");
  request.set_ids_only(true);
  for (const char* content : {"a", "ab"}) {
    v1::ChatMessage& message = *request.mutable_chat()->add_messages();
    message.set_role("user");
    message.set_content(content);
  }
  v1::TokenizeResponse response;
  grpc::ClientContext context;
  ASSERT_TRUE(stub_->Tokenize(&context, request, &response).ok());
  EXPECT_THAT(response.ids(), ElementsAre(FakeEngine::kBos, 1, 2));
  EXPECT_THAT(response.texts(), ::testing::IsEmpty());
}

TEST_F(TokenizeTest, RefusesAChatThatIsEmptyOrBesideAText) {
  v1::TokenizeRequest request;
  request.set_model("tiny");
  request.mutable_chat();
  v1::TokenizeResponse response;
  grpc::ClientContext empty;
  grpc::Status status = stub_->Tokenize(&empty, request, &response);
  EXPECT_ERROR(status, INVALID_ARGUMENT, "INVALID_REQUEST");
  EXPECT_EQ(ErrorInfoOf(status).metadata().at("field"), "chat.messages");
  request.set_text("a");
  grpc::ClientContext both;
  status = stub_->Tokenize(&both, request, &response);
  EXPECT_ERROR(status, INVALID_ARGUMENT, "INVALID_REQUEST");
  EXPECT_EQ(ErrorInfoOf(status).metadata().at("field"), "chat");
}

TEST_F(TokenizeTest, DetokenizeGivesTextThatIsUtf8) {
  grpc::ClientContext context;
  v1::DetokenizeRequest request;
  request.set_model("tiny");
  for (const int id : {1000, 0, 25}) request.add_ids(id);
  v1::DetokenizeResponse response;
  ASSERT_TRUE(stub_->Detokenize(&context, request, &response).ok());
  EXPECT_EQ(response.text(), "a\xef\xbf\xbd");
}

TEST_F(TokenizeTest, NeedsAResidentModel) {
  daemon_.AddModel("other");
  v1::TokenizeRequest request;
  request.set_model("other");
  v1::TokenizeResponse response;
  grpc::ClientContext context;
  EXPECT_ERROR(stub_->Tokenize(&context, request, &response), FAILED_PRECONDITION,
               "MODEL_NOT_LOADED");
  v1::DetokenizeRequest detokenize;
  detokenize.set_model("absent");
  v1::DetokenizeResponse text;
  grpc::ClientContext second;
  EXPECT_ERROR(stub_->Detokenize(&second, detokenize, &text), NOT_FOUND, "MODEL_NOT_FOUND");
}

TEST_F(TokenizeTest, RefusesATextAboveThreeMebibytes) {
  v1::TokenizeRequest request;
  request.set_model("tiny");
  request.set_text(std::string((3 << 20) + 1, 'a'));
  v1::TokenizeResponse response;
  grpc::ClientContext context;
  const grpc::Status status = stub_->Tokenize(&context, request, &response);
  EXPECT_ERROR(status, INVALID_ARGUMENT, "INVALID_REQUEST");
  EXPECT_EQ(ErrorInfoOf(status).metadata().at("field"), "text");
  EXPECT_THAT(status.error_message(),
              ::testing::AllOf(::testing::HasSubstr("3145729"), ::testing::HasSubstr("3145728")));
}

// A client that takes no answer.
class UnreadTokenizeTest : public ::testing::Test {
 protected:
  UnreadTokenizeTest() {
    daemon_.AddModel("tiny");
    daemon_.LoadModel("tiny");
  }

  ~UnreadTokenizeTest() override {
    for (const auto& context : contexts_) context->TryCancel();
    queue_.Shutdown();
    void* tag = nullptr;
    bool ok = false;
    while (queue_.Next(&tag, &ok)) continue;
  }

  // Starts Tokenize calls whose responses never fit the client's window, because it takes none.
  void Start(const std::string& text, size_t n_calls) {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
    arguments.SetInt(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, 5);
    v1::ForgeService::Stub stub(
        grpc::CreateCustomChannel(daemon_.target(), grpc::InsecureChannelCredentials(), arguments));
    v1::TokenizeRequest request;
    request.set_model("tiny");
    request.set_text(text);
    for (size_t i = 0; i < n_calls; ++i) {
      contexts_.push_back(std::make_unique<grpc::ClientContext>());
      readers_.push_back(stub.PrepareAsyncTokenize(contexts_.back().get(), request, &queue_));
      readers_.back()->StartCall();
      readers_.back()->ReadInitialMetadata(nullptr);  // what makes it send
    }
  }
  // Waits up to five seconds until `admission` counts so many calls.
  static bool WaitForCalls(const CallAdmission& admission, uint32_t n_calls) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(5);
    while (admission.count() != n_calls) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return true;
  }

  TestDaemon daemon_{[](Config& config) {
    config.limits.stalled_reader_timeout = std::chrono::milliseconds(500);
  }};
  grpc::CompletionQueue queue_;
  std::vector<std::unique_ptr<grpc::ClientContext>> contexts_;
  std::vector<std::unique_ptr<grpc::ClientAsyncResponseReader<v1::TokenizeResponse>>> readers_;
};

TEST_F(UnreadTokenizeTest, AnAnswerCountsUntilItIsTakenOrItsClientIsCutOff) {
  const CallAdmission& admission = daemon_.context().unary_admission;
  Start("abc", 3);
  ASSERT_TRUE(WaitForCalls(admission, 3));
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  EXPECT_EQ(admission.count(), 3u) << "the answers are there, but not taken";
  EXPECT_TRUE(WaitForCalls(admission, 0));
}

TEST_F(UnreadTokenizeTest, LargeTextsHaveFewPlacesAndLeaveThoseOfOthers) {
  Start(std::string(65 << 10, 'a'), ServiceContext::kMaxLargeTexts);
  ASSERT_TRUE(WaitForCalls(daemon_.context().large_text_admission, ServiceContext::kMaxLargeTexts));
  const auto stub = daemon_.NewStub();
  v1::TokenizeRequest request;
  request.set_model("tiny");
  request.set_text(std::string(65 << 10, 'a'));
  v1::TokenizeResponse response;
  grpc::ClientContext large;
  EXPECT_ERROR(stub->Tokenize(&large, request, &response), RESOURCE_EXHAUSTED, "TOO_MANY_STREAMS");
  request.set_text("a");
  grpc::ClientContext small;
  EXPECT_TRUE(stub->Tokenize(&small, request, &response).ok());
}

}  // namespace
}  // namespace forge::testing
