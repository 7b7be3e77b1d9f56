#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/daemon/daemon_fixture.h"

namespace forge::testing {
namespace {

class GetModelTest : public ::testing::Test {
 protected:
  grpc::Status Get(const std::string& model, const v1::LoadOptions& options = {}) {
    grpc::ClientContext context;
    v1::GetModelRequest request;
    request.set_model(model);
    *request.mutable_options() = options;
    return stub_->GetModel(&context, request, &response_);
  }

  TestDaemon daemon_;
  std::unique_ptr<v1::ForgeService::Stub> stub_ = daemon_.NewStub();
  v1::GetModelResponse response_;
};

TEST_F(GetModelTest, DescribesAFileAndThePlanOfGivenOptions) {
  daemon_.AddModel("tiny", 1000);
  v1::LoadOptions options;
  options.set_context_length(777);
  ASSERT_TRUE(Get("tiny", options).ok());
  const v1::Model& model = response_.model();
  EXPECT_EQ(model.state(), v1::MODEL_STATE_ON_DISK);
  EXPECT_EQ(model.details().architecture(), "fake");
  EXPECT_EQ(model.details().title(), "Fake model");
  EXPECT_EQ(model.details().formats(0).format(), "Q8_0");
  EXPECT_EQ(model.details().options().context_length(), 777u);
  EXPECT_EQ(model.details().options().kv_cache_type(), v1::KV_CACHE_TYPE_F16);
  EXPECT_EQ(model.details().plan().total_bytes(), 1000 + (64 << 10) + (16 << 10));
  EXPECT_FALSE(model.has_residency());
}

TEST_F(GetModelTest, ReportsTokensTemplateAndContextsWhenAskedInFull) {
  daemon_.AddModel("tiny", 1000);
  grpc::ClientContext context;
  v1::GetModelRequest request;
  request.set_model("tiny");
  request.set_full(true);
  ASSERT_TRUE(stub_->GetModel(&context, request, &response_).ok());
  const v1::ModelDetails& details = response_.model().details();
  EXPECT_EQ(details.pooling(), v1::POOLING_MEAN);
  ASSERT_EQ(details.special_tokens_size(), 1);
  EXPECT_EQ(details.special_tokens(0).text(), "<s>");
  EXPECT_TRUE(details.special_tokens(0).is_added());
  EXPECT_EQ(details.chat_template_source(), "{{ messages \xef\xbf\xbd}}");
  ASSERT_EQ(details.context_plans_size(), 1);
  EXPECT_EQ(details.context_plans(0).plan().total_bytes(), 1000 + 1000 + 100);
  EXPECT_EQ(details.largest_context_length(), 3000u);
  ASSERT_TRUE(Get("tiny").ok());
  EXPECT_EQ(response_.model().details().special_tokens_size(), 0);
}

TEST_F(GetModelTest, ReadsAHeaderOnceWhileTheFileIsTheSame) {
  const auto path = daemon_.AddModel("tiny", 1000);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(Get("tiny").ok());
  EXPECT_EQ(daemon_.engine().n_inspections(), 1);
  daemon_.AddModel("tiny", 2000);
  ASSERT_TRUE(Get("tiny").ok());
  EXPECT_EQ(daemon_.engine().n_inspections(), 2);
  EXPECT_EQ(response_.model().details().plan().weights_bytes(), 2000);
}

TEST_F(GetModelTest, DescribesAResidentModelAsItWasLoaded) {
  daemon_.AddModel("tiny");
  v1::LoadOptions options;
  options.set_context_length(512);
  ASSERT_TRUE(RunLoad(*stub_, "tiny", options).status.ok());
  ASSERT_TRUE(Get("tiny").ok());
  EXPECT_EQ(response_.model().details().options().context_length(), 512u);
  EXPECT_EQ(response_.model().residency().device(), "cpu");
  options.set_context_length(1024);
  ASSERT_TRUE(Get("tiny", options).ok());
  EXPECT_EQ(response_.model().details().options().context_length(), 1024u);
}

TEST_F(GetModelTest, AcceptsAPathInsideTheDirectories) {
  const auto path = daemon_.AddModel("deep/er/tiny");
  ASSERT_TRUE(Get(path.string()).ok());
  EXPECT_EQ(response_.model().name(), "deep/er/tiny");
}

TEST_F(GetModelTest, PassesOnWhatIsWrongWithTheFile) {
  daemon_.AddModel("tiny");
  daemon_.engine().SetInspectFailure("tiny.gguf", InvalidArgument("magic is 'x'")
                                                      .WithReason("MODEL_FILE_INVALID")
                                                      .WithDetail("field", "magic"));
  const grpc::Status status = Get("tiny");
  EXPECT_ERROR(status, INVALID_ARGUMENT, "MODEL_FILE_INVALID");
  EXPECT_EQ(DetailOf<google::rpc::BadRequest>(status)->field_violations(0).field(), "magic");
  ASSERT_FALSE(RunLoad(*stub_, "tiny").status.ok());
  ASSERT_TRUE(Get("tiny").ok()) << "why the load failed is the answer";
  EXPECT_EQ(response_.model().state(), v1::MODEL_STATE_FAILED);
  EXPECT_EQ(response_.model().error(), "magic is 'x'");
  EXPECT_FALSE(response_.model().has_details());
  EXPECT_ERROR(Get("absent"), NOT_FOUND, "MODEL_NOT_FOUND");
}

}  // namespace
}  // namespace forge::testing
