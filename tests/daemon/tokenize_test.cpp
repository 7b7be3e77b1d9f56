#include <gmock/gmock.h>
#include <gtest/gtest.h>

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

}  // namespace
}  // namespace forge::testing
