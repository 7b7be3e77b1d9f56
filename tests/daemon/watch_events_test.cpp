#include <gtest/gtest.h>

#include "daemon/residency/event_journal.h"
#include "tests/daemon/daemon_fixture.h"

namespace forge::testing {
namespace {

constexpr uint64_t kMiB = 1 << 20;

// The events that are kept.
std::vector<v1::Event> EventsOf(const TestDaemon& daemon, uint32_t newest = 0) {
  grpc::ClientContext context;
  v1::WatchEventsRequest request;
  request.set_newest_count(newest);
  const auto stub = daemon.NewStub();
  const auto stream = stub->WatchEvents(&context, request);
  std::vector<v1::Event> events;
  v1::WatchEventsResponse response;
  while (stream->Read(&response)) events.push_back(response.event());
  EXPECT_TRUE(stream->Finish().ok());
  return events;
}

std::vector<v1::EventKind> KindsOf(const std::vector<v1::Event>& events) {
  std::vector<v1::EventKind> kinds;
  for (const v1::Event& event : events) kinds.push_back(event.kind());
  return kinds;
}

// Models may take 7 of 10 MiB.
class WatchEventsTest : public ::testing::Test {
 protected:
  WatchEventsTest() {
    daemon_.engine().SetBudgetBytes(10 * kMiB);
    daemon_.AddModel("a", 4 * kMiB);
    daemon_.AddModel("b", 4 * kMiB);
    daemon_.AddModel("large", 20 * kMiB);
  }

  TestDaemon daemon_{
      [](Config& config) { config.residency.min_residence = std::chrono::milliseconds(0); }};
  std::unique_ptr<v1::ForgeService::Stub> stub_ = daemon_.NewStub();
};

TEST_F(WatchEventsTest, TellTheWholeLifeOfAModelWithItsNumbers) {
  daemon_.LoadModel("a");
  grpc::ClientContext context;
  v1::PinModelRequest pin;
  pin.set_model("a");
  pin.set_pinned(true);
  v1::PinModelResponse pinned;
  ASSERT_TRUE(stub_->PinModel(&context, pin, &pinned).ok());
  grpc::ClientContext second;
  v1::UnloadModelRequest unload;
  unload.set_model("a");
  v1::UnloadModelResponse unloaded;
  ASSERT_TRUE(stub_->UnloadModel(&second, unload, &unloaded).ok());

  const std::vector<v1::Event> events = EventsOf(daemon_);
  EXPECT_EQ(KindsOf(events),
            (std::vector<v1::EventKind>{v1::EVENT_KIND_ADMITTED, v1::EVENT_KIND_LOADED,
                                        v1::EVENT_KIND_PINNED, v1::EVENT_KIND_UNLOADING,
                                        v1::EVENT_KIND_RELEASED}));
  const int64_t plan_bytes = 4 * kMiB + (80 << 10);
  for (size_t i = 0; i < events.size(); ++i) {
    EXPECT_EQ(events[i].number(), static_cast<int64_t>(i + 1));
    EXPECT_EQ(events[i].model(), "a");
    EXPECT_EQ(events[i].device(), "cpu");
    EXPECT_EQ(events[i].bytes(), plan_bytes);
    EXPECT_GT(events[i].time().seconds(), 0);
  }
  const v1::PolicyDecision& decision = events[0].decision();
  EXPECT_EQ(decision.kind(), v1::PolicyDecision::KIND_ADMIT);
  EXPECT_EQ(decision.plan_bytes(), plan_bytes);
  EXPECT_EQ(decision.free_bytes(), static_cast<int64_t>(10 * kMiB));
  EXPECT_EQ(decision.policy().free_fraction(), 0.7);
  EXPECT_EQ(events[1].reserved_bytes(), plan_bytes);
  EXPECT_EQ(events[1].free_bytes(), static_cast<int64_t>(10 * kMiB) - plan_bytes);
  EXPECT_EQ(events[3].cause(), v1::UNLOAD_CAUSE_ASKED);
  EXPECT_EQ(events[4].reserved_bytes(), 0);
}

TEST_F(WatchEventsTest, AnEvictionSaysForWhomAndWhy) {
  daemon_.LoadModel("a");
  daemon_.LoadModel("b");
  for (const v1::Event& event : EventsOf(daemon_)) {
    if (event.kind() != v1::EVENT_KIND_UNLOADING) continue;
    EXPECT_EQ(event.model(), "a");
    EXPECT_EQ(event.cause(), v1::UNLOAD_CAUSE_EVICTED);
    EXPECT_EQ(event.decision().model(), "b");
    EXPECT_EQ(event.decision().kind(), v1::PolicyDecision::KIND_EVICT);
    ASSERT_EQ(event.decision().models_size(), 1);
    EXPECT_EQ(event.decision().models(0), "a");
    EXPECT_EQ(event.decision().residents_size(), 1);
    return;
  }
  ADD_FAILURE() << "no model was unloaded";
}

TEST_F(WatchEventsTest, ARefusalIsOneEventAndSoIsAFailure) {
  EXPECT_FALSE(RunLoad(*stub_, "large").status.ok());
  daemon_.engine().SetLoadFailure("a.gguf", DataLoss("the disk broke"));
  EXPECT_FALSE(RunLoad(*stub_, "a").status.ok());
  const std::vector<v1::Event> events = EventsOf(daemon_);
  EXPECT_EQ(KindsOf(events),
            (std::vector<v1::EventKind>{v1::EVENT_KIND_REFUSED, v1::EVENT_KIND_ADMITTED,
                                        v1::EVENT_KIND_LOAD_FAILED}));
  EXPECT_EQ(events[0].error(), "GPU_BUDGET_EXCEEDED");
  EXPECT_EQ(events[0].decision().kind(), v1::PolicyDecision::KIND_REFUSE);
  EXPECT_EQ(events[2].reason(), "the disk broke");
}

TEST_F(WatchEventsTest, KeepsNoMoreOfALongTextThanItsBeginning) {
  daemon_.engine().SetLoadFailure("a.gguf", DataLoss(std::string(100'000, 'x')));
  EXPECT_FALSE(RunLoad(*stub_, "a").status.ok());
  EXPECT_EQ(daemon_.residency().journal().Newest(1).at(0).reason, std::string(800, 'x'));
  EXPECT_EQ(daemon_.residency().Find("a").value().error, std::string(800, 'x'));
}

TEST_F(WatchEventsTest, FollowsWhatHappensWithoutAGap) {
  daemon_.LoadModel("a");
  grpc::ClientContext context;
  v1::WatchEventsRequest request;
  request.set_follow(true);
  const auto stream = stub_->WatchEvents(&context, request);
  v1::WatchEventsResponse response;
  int64_t last = 0;
  bool is_released = false;
  while (!is_released && stream->Read(&response)) {
    EXPECT_EQ(response.event().number(), ++last);
    if (last == 2) daemon_.LoadModel("b");  // evicts a
    is_released = response.event().kind() == v1::EVENT_KIND_RELEASED;
  }
  EXPECT_TRUE(is_released);
  daemon_.context().running_calls.BeginDrain();
  while (stream->Read(&response)) continue;
  EXPECT_ERROR(stream->Finish(), UNAVAILABLE, "SHUTTING_DOWN");
}

TEST_F(WatchEventsTest, GivesTheNewestThatAreAskedFor) {
  daemon_.LoadModel("a");
  daemon_.LoadModel("b");
  const std::vector<v1::Event> events = EventsOf(daemon_, 1);
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].kind(), v1::EVENT_KIND_LOADED);
  EXPECT_EQ(events[0].model(), "b");
}

TEST(EventJournalTest, KeepsTheNewestAndGoesOnCounting) {
  EventJournal journal;
  for (size_t i = 0; i < EventJournal::kMaxKept + 10; ++i) journal.Publish({});
  const std::vector<ResidencyEvent> all = journal.Newest(EventJournal::kMaxKept + 1);
  ASSERT_EQ(all.size(), EventJournal::kMaxKept);
  EXPECT_EQ(all.front().number, 11u);
  EXPECT_EQ(journal.Newest(2).front().number, EventJournal::kMaxKept + 9);
}

TEST(EventJournalTest, ASubscriptionEndsWithItsOwner) {
  EventJournal journal;
  journal.Publish({});
  std::vector<uint64_t> seen;
  {
    EventJournal::Subscription subscription = journal.Subscribe(
        5, [&seen](const ResidencyEvent& event) { seen.push_back(event.number); });
    journal.Publish({});
    EventJournal::Subscription moved = std::move(subscription);
    journal.Publish({});
  }
  journal.Publish({});
  EXPECT_EQ(seen, (std::vector<uint64_t>{1, 2, 3}));
}

}  // namespace
}  // namespace forge::testing
