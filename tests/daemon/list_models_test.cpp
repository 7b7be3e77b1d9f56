#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "tests/daemon/daemon_fixture.h"

namespace forge::testing {
namespace {

using ::testing::ElementsAre;

class ListModelsTest : public ::testing::Test {
 protected:
  v1::ListModelsResponse List(const v1::ListModelsRequest& request = {}) {
    grpc::ClientContext context;
    v1::ListModelsResponse response;
    status_ = stub_->ListModels(&context, request, &response);
    return response;
  }
  static std::vector<std::string> Names(const v1::ListModelsResponse& response) {
    std::vector<std::string> names;
    for (const v1::Model& model : response.models()) names.push_back(model.name());
    return names;
  }

  TestDaemon daemon_;
  std::unique_ptr<v1::ForgeService::Stub> stub_ = daemon_.NewStub();
  grpc::Status status_;
};

TEST_F(ListModelsTest, ListsFilesByNameWithSizeTimeAndState) {
  daemon_.AddModel("b/two", 2000);
  daemon_.AddModel("a", 1000);
  daemon_.directory().WriteFile("models/readme.txt", "no model");
  const auto response = List();
  ASSERT_THAT(Names(response), ElementsAre("a", "b/two"));
  EXPECT_EQ(response.models(1).file_bytes(), 2000);
  EXPECT_GT(response.models(1).modify_time().seconds(), 1'700'000'000);
  EXPECT_EQ(response.models(1).state(), v1::MODEL_STATE_ON_DISK);
  EXPECT_TRUE(response.next_page_token().empty());
}

TEST_F(ListModelsTest, ShowsWhatIsResidentEvenWhenItsFileIsGone) {
  daemon_.AddModel("a");
  const auto path = daemon_.AddModel("b");
  daemon_.LoadModel("b");
  std::filesystem::remove(path);
  const auto response = List();
  ASSERT_THAT(Names(response), ElementsAre("a", "b"));
  EXPECT_EQ(response.models(1).state(), v1::MODEL_STATE_READY);
  EXPECT_EQ(response.models(1).residency().slot_count(), 4u);
  EXPECT_GT(response.models(1).residency().memory().total_bytes(), 0);
  EXPECT_GT(response.models(1).residency().load_time().seconds(), 1'700'000'000);
}

TEST_F(ListModelsTest, MayLeaveOutWhatIsOnlyOnDisk) {
  daemon_.AddModel("a");
  daemon_.AddModel("b");
  daemon_.LoadModel("b");
  v1::ListModelsRequest request;
  request.set_resident_only(true);
  EXPECT_THAT(Names(List(request)), ElementsAre("b"));
}

TEST_F(ListModelsTest, SaysOnTheFirstPageWhatIsLeftOut) {
  daemon_.AddModel("a");
  daemon_.AddModel("b");
  daemon_.directory().WriteFile("models/half-00001-of-00002.gguf", "x");
  v1::ListModelsRequest request;
  request.set_page_size(1);
  const auto first = List(request);
  ASSERT_EQ(first.left_out_count(), 1u);
  ASSERT_EQ(first.left_out_files_size(), 1);
  EXPECT_TRUE(first.left_out_files(0).path().ends_with("half-00001-of-00002.gguf"));
  EXPECT_NE(first.left_out_files(0).reason().find("is missing"), std::string::npos);
  request.set_page_token(first.next_page_token());
  EXPECT_EQ(List(request).left_out_count(), 0u);
  request.Clear();
  request.set_resident_only(true);
  EXPECT_EQ(List(request).left_out_count(), 0u);
}

TEST_F(ListModelsTest, PagesThroughEverythingOnce) {
  std::vector<std::string> expected;
  for (int i = 10; i < 35; ++i) {
    expected.push_back(std::string("m").append(std::to_string(i)));
    daemon_.AddModel(expected.back());
  }
  std::vector<std::string> seen;
  v1::ListModelsRequest request;
  request.set_page_size(10);
  std::vector<int> page_sizes;
  do {
    const auto response = List(request);
    ASSERT_TRUE(status_.ok());
    page_sizes.push_back(response.models_size());
    for (const std::string& name : Names(response)) seen.push_back(name);
    request.set_page_token(response.next_page_token());
  } while (!request.page_token().empty());
  EXPECT_EQ(seen, expected);
  EXPECT_THAT(page_sizes, ElementsAre(10, 10, 5));
}

TEST_F(ListModelsTest, PagesShowTheFilesOfTheFirstWhichAloneLooksAtTheDisk) {
  std::vector<std::filesystem::path> paths;
  for (const char* name : {"a", "b", "c", "d", "e"}) paths.push_back(daemon_.AddModel(name));
  v1::ListModelsRequest request;
  request.set_page_size(2);
  auto response = List(request);
  ASSERT_THAT(Names(response), ElementsAre("a", "b"));
  for (const auto& path : paths) std::filesystem::remove(path);
  daemon_.AddModel("bb");
  request.set_page_token(response.next_page_token());
  response = List(request);
  EXPECT_THAT(Names(response), ElementsAre("c", "d"));
  request.set_page_token(response.next_page_token());
  response = List(request);
  EXPECT_THAT(Names(response), ElementsAre("e"));
  EXPECT_EQ(response.next_page_token(), "");
  EXPECT_THAT(Names(List()), ElementsAre("bb")) << "a first page looks again";
}

TEST_F(ListModelsTest, AListingThatIsNotKeptAnyMoreGoesOnWhereItWas) {
  for (const char* name : {"a", "c", "d"}) daemon_.AddModel(name);
  v1::ListModelsRequest request;
  request.set_page_size(2);
  const std::string token = List(request).next_page_token();
  for (size_t i = 0; i < ListingCache::kMostKept; ++i) List(request);
  daemon_.AddModel("b");
  daemon_.AddModel("e");
  request.set_page_token(token);
  const auto response = List(request);
  EXPECT_THAT(Names(response), ElementsAre("d", "e"));
}

TEST_F(ListModelsTest, WhatIsLoadedBetweenTwoPagesIsShownSo) {
  for (const char* name : {"a", "c", "d"}) daemon_.AddModel(name);
  v1::ListModelsRequest request;
  request.set_page_size(1);
  request.set_page_token(List(request).next_page_token());
  daemon_.AddModel("b");
  daemon_.LoadModel("b");
  daemon_.LoadModel("c");
  request.set_page_size(5);
  const auto response = List(request);
  ASSERT_THAT(Names(response), ElementsAre("b", "c", "d"));
  EXPECT_EQ(response.models(0).state(), v1::MODEL_STATE_READY);
  EXPECT_EQ(response.models(1).state(), v1::MODEL_STATE_READY);
  EXPECT_EQ(response.models(2).state(), v1::MODEL_STATE_ON_DISK);
}

TEST_F(ListModelsTest, RefusesBadPageSizesAndTokens) {
  v1::ListModelsRequest request;
  request.set_page_size(-1);
  List(request);
  EXPECT_ERROR(status_, INVALID_ARGUMENT, "INVALID_REQUEST");
  request.set_page_size(1'000'000);
  List(request);
  EXPECT_TRUE(status_.ok()) << "too large a page is cut";
  for (const char* token : {"xyz", "0", "zz", "61", "61-", "61-x", "-1", "6-1", "zz-1", "61-1-1",
                            "61-99999999999999999999"}) {
    request.set_page_token(token);
    List(request);
    EXPECT_ERROR(status_, INVALID_ARGUMENT, "INVALID_PAGE_TOKEN");
  }
}

}  // namespace
}  // namespace forge::testing
