#include <gtest/gtest.h>

#include <set>
#include <thread>

#include "tests/daemon/daemon_fixture.h"
#include "tests/support/temporary_files.h"

namespace forge::testing {
namespace {

constexpr uint64_t kMiB = 1 << 20;

// Models may take 7 of 10 MiB.
class RestoreTest : public ::testing::Test {
 protected:
  RestoreTest() {
    for (const char* name : {"a", "b", "c"}) daemon_.AddModel(name, 3 * kMiB);
    daemon_.engine().SetBudgetBytes(10 * kMiB);
  }

  void Restore(const std::vector<std::string>& names) {
    std::vector<ResidentRecord> models;
    for (const std::string& name : names) models.push_back({name, {}});
    daemon_.residency().Restore(std::move(models));
  }
  // Waits for the event of this kind about `model`.
  ResidencyEvent Await(ResidencyEvent::Kind kind, const std::string& model) {
    for (int i = 0; i < 5'000; ++i) {
      for (const ResidencyEvent& event : daemon_.residency().journal().Newest(100))
        if (event.kind == kind && event.model == model) return event;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    ADD_FAILURE() << "no " << EventKindName(kind) << " of " << model;
    return {};
  }
  std::set<std::string> Ready() {
    std::set<std::string> names;
    for (const ModelSnapshot& model : daemon_.residency().List())
      if (model.state == ModelState::kReady) names.insert(model.file.name);
    return names;
  }

  TempDirectory state_;
  TestDaemon daemon_{[this](Config& config) {
    config.state_directory = state_.path().string();
    config.residency.min_residence = std::chrono::milliseconds(0);
  }};
};

using enum ResidencyEvent::Kind;
using Names = std::set<std::string>;

TEST_F(RestoreTest, LoadsInOrderWhatFitsAndEvictsNothingForTheRest) {
  Restore({"b", "c", "a", "nobody"});
  Await(kNotRestored, "nobody");
  EXPECT_EQ(Ready(), (Names{"b", "c"}));
  EXPECT_EQ(Await(kNotRestored, "a").error, "GPU_BUDGET_EXCEEDED");
  EXPECT_EQ(Await(kNotRestored, "nobody").error, "MODEL_NOT_FOUND");
  for (const ResidencyEvent& event : daemon_.residency().journal().Newest(100))
    EXPECT_NE(event.kind, kUnloading);
}

TEST_F(RestoreTest, WhatIsResidentIsRecordedAsItIsKept) {
  LoadRequest request;
  request.context_length = 512;
  request.pinned = true;
  request.keep_alive = std::chrono::milliseconds(7'000);
  daemon_.residency().Restore({{"a", request}});
  Await(kLoaded, "a");
  const std::vector<ResidentRecord> records = daemon_.residency().Records();
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0].model, "a");
  EXPECT_EQ(records[0].request.device, "cpu");
  EXPECT_EQ(records[0].request.context_length, 512u);
  EXPECT_EQ(records[0].request.pinned, true);
  EXPECT_EQ(records[0].request.keep_alive, std::chrono::milliseconds(7'000));
}

TEST_F(RestoreTest, AStopInItsMiddleRecordsWhatIsNotBackYet) {
  daemon_.AddModel("d", kMiB);
  LoadRequest pinned;
  pinned.pinned = true;
  Restore({"a"});
  Await(kLoaded, "a");
  daemon_.engine().HoldLoads();
  daemon_.residency().Restore({{"nobody", {}}, {"b", {}}, {"d", pinned}});
  Await(kAdmitted, "b");
  const auto recorded = [this] {
    std::vector<std::string> names;
    for (const ResidentRecord& record : daemon_.residency().Records())
      names.push_back(record.model);
    return names;
  };
  const std::vector<std::string> all = {"a", "b", "d"};
  EXPECT_EQ(recorded(), all) << "one is loading, one waits";
  daemon_.residency().BeginShutdown();
  Await(kLoadStopped, "b");
  EXPECT_EQ(recorded(), all);
  EXPECT_EQ(daemon_.residency().Records().back().request.pinned, true);
}

TEST_F(RestoreTest, ALoadIsMarkedWhileItRuns) {
  daemon_.engine().HoldLoads();
  Restore({"a"});
  const std::filesystem::path marks = state_.path() / "loading";
  const auto is_marked = [&marks] {
    return std::filesystem::exists(marks) && !std::filesystem::is_empty(marks);
  };
  for (int i = 0; i < 5'000 && !is_marked(); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  EXPECT_TRUE(is_marked());
  daemon_.engine().ReleaseLoads();
  Await(kLoaded, "a");
  EXPECT_FALSE(is_marked());
}

TEST(CrashedLoadTest, IsNotRepeatedUntilSomebodyDoesItByHand) {
  const TempDirectory state;
  const TempDirectory models;
  models.WriteFile("a.gguf", std::string(1'000, 'x'));
  models.WriteFile("b.gguf", std::string(1'000, 'x'));
  // What a run leaves that dies while it loads a.
  ASSERT_TRUE(
      StateStore(state.path()).MarkLoad(*Catalogue({models.path().string()}).Resolve("a")).ok());
  TestDaemon daemon([&](Config& config) {
    config.state_directory = state.path().string();
    config.model_directories = {models.path().string()};
    config.residency.load_on_demand = true;
  });
  const auto restore = [&daemon] {
    const size_t n_before = daemon.residency().journal().Newest(100).size();
    daemon.residency().Restore({{"a", {}}, {"b", {}}});
    for (int i = 0; i < 5'000; ++i) {
      const auto found = daemon.residency().Find("b");
      const bool told = daemon.residency().journal().Newest(100).size() > n_before;
      if (found && found->state == ModelState::kReady && told) break;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  };
  restore();
  const ResidencyEvent first = daemon.residency().journal().Newest(100).front();
  EXPECT_EQ(first.kind, kNotRestored);
  EXPECT_EQ(first.model, "a");
  EXPECT_EQ(first.error, "LOAD_CRASHED");
  EXPECT_FALSE(daemon.residency().Find("a"));
  EXPECT_TRUE(daemon.residency().Find("b")) << "it goes on with the others";
  // Nor by a client that only wants an answer, however often it asks.
  const auto stub = daemon.NewStub();
  for (int i = 0; i < 2; ++i) {
    grpc::ClientContext context;
    const auto stream = stub->Generate(&context);
    v1::GenerateRequest request;
    request.mutable_turn()->set_model("a");
    request.mutable_turn()->mutable_text()->set_text("hello");
    stream->Write(request);
    EXPECT_EQ(ErrorInfoOf(stream->Finish()).reason(), "LOAD_CRASHED");
  }
  EXPECT_FALSE(daemon.residency().Find("a"));
  daemon.LoadModel("a");
  EXPECT_FALSE(StateStore(state.path()).WasDeadly(daemon.residency().Find("a")->file));
}

}  // namespace
}  // namespace forge::testing
