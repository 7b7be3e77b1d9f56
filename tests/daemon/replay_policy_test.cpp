#include <gtest/gtest.h>

#include <thread>

#include "tests/daemon/daemon_fixture.h"

namespace forge::testing {
namespace {

// b wants 40 of 100 bytes, of which a holds 30.
v1::Event Decided(v1::PolicyDecision::Kind kind) {
  v1::Event event;
  event.set_number(7);
  v1::PolicyDecision& decision = *event.mutable_decision();
  decision.mutable_policy()->set_policy("share");
  decision.mutable_policy()->set_free_fraction(0.7);
  decision.set_total_bytes(100);
  decision.set_free_bytes(70);
  decision.set_allocated_bytes(30);
  v1::PolicyResident& a = *decision.add_residents();
  a.set_model("a");
  a.set_bytes(30);
  a.set_phase(v1::PolicyResident::PHASE_READY);
  a.set_settled(true);
  a.set_reload_cost(2);
  a.set_reuse_chance(0.5);
  decision.set_model("b");
  decision.set_plan_bytes(40);
  decision.set_kind(kind);
  return event;
}

// Sixteen models of irregular sizes that all cost the same, of which two fifths have to go: the
// search for the cheapest set takes long.
v1::Event Hard() {
  v1::Event event = Decided(v1::PolicyDecision::KIND_EVICT);
  v1::PolicyDecision& decision = *event.mutable_decision();
  decision.mutable_policy()->set_policy("incremental");
  decision.mutable_policy()->set_free_fraction(1);
  decision.clear_residents();
  int64_t total = 0;
  for (int i = 0; i < 16; ++i) {
    v1::PolicyResident& resident = *decision.add_residents();
    resident.set_model(std::string(1, static_cast<char>('a' + i)));
    resident.set_bytes(10'000 + i * i * 37 % 1009);
    resident.set_phase(v1::PolicyResident::PHASE_READY);
    resident.set_settled(true);
    resident.set_reload_cost(1);
    resident.set_reuse_chance(0);
    total += resident.bytes();
  }
  decision.set_model("wanted");
  decision.set_total_bytes(total);
  decision.set_free_bytes(0);
  decision.set_allocated_bytes(total);
  decision.set_plan_bytes(total * 2 / 5);
  return event;
}

class ReplayPolicyTest : public ::testing::Test {
 protected:
  grpc::Status Replay(const v1::ReplayPolicyRequest& request) {
    grpc::ClientContext context;
    response_.Clear();
    return daemon_.NewStub()->ReplayPolicy(&context, request, &response_);
  }

  TestDaemon daemon_;
  v1::ReplayPolicyResponse response_;
};

TEST_F(ReplayPolicyTest, DecidesTheSameUnderTheSameSettings) {
  v1::ReplayPolicyRequest request;
  *request.add_events() = Decided(v1::PolicyDecision::KIND_ADMIT);
  request.add_events()->set_number(8);  // no decision
  ASSERT_TRUE(Replay(request).ok());
  ASSERT_EQ(response_.replays_size(), 1);
  EXPECT_EQ(response_.replays(0).event().number(), 7);
  EXPECT_FALSE(response_.replays(0).changed());
  EXPECT_EQ(response_.replays(0).decision().available_bytes(), 40);
}

TEST_F(ReplayPolicyTest, DecidesAnewUnderOthers) {
  v1::ReplayPolicyRequest request;
  *request.add_events() = Decided(v1::PolicyDecision::KIND_ADMIT);
  request.mutable_settings()->set_free_fraction(0.6);
  ASSERT_TRUE(Replay(request).ok());
  const auto& evicts = response_.replays(0);
  EXPECT_TRUE(evicts.changed());
  EXPECT_EQ(evicts.decision().kind(), v1::PolicyDecision::KIND_EVICT);
  ASSERT_EQ(evicts.decision().models_size(), 1);
  EXPECT_EQ(evicts.decision().models(0), "a");

  request.mutable_settings()->set_cap_bytes(39);
  ASSERT_TRUE(Replay(request).ok());
  EXPECT_EQ(response_.replays(0).decision().kind(), v1::PolicyDecision::KIND_REFUSE);
  EXPECT_EQ(response_.replays(0).decision().binding_bound(), "cap");

  request.mutable_settings()->set_cap_bytes(0);
  request.mutable_settings()->set_policy("incremental");
  ASSERT_TRUE(Replay(request).ok());
  EXPECT_FALSE(response_.replays(0).changed()) << "0.6 * 70 are 42";
}

TEST_F(ReplayPolicyTest, NamesTheFieldThatIsWrong) {
  const auto refused = [&](auto spoil) {
    v1::ReplayPolicyRequest request;
    *request.add_events() = Decided(v1::PolicyDecision::KIND_ADMIT);
    spoil(request, *request.mutable_events(0)->mutable_decision());
    const grpc::Status status = Replay(request);
    EXPECT_ERROR(status, INVALID_ARGUMENT, "INVALID_REQUEST");
    return ErrorInfoOf(status).metadata().at("field");
  };
  using Request = v1::ReplayPolicyRequest;
  using Decision = v1::PolicyDecision;
  EXPECT_EQ(refused([](Request& r, Decision&) { r.mutable_settings()->set_free_fraction(1.5); }),
            "free_fraction");
  EXPECT_EQ(refused([](Request& r, Decision&) { r.mutable_settings()->set_policy("best"); }),
            "policy");
  EXPECT_EQ(refused([](Request&, Decision& d) { d.set_plan_bytes(-1); }), "decision.plan_bytes");
  EXPECT_EQ(refused([](Request&, Decision& d) { *d.add_residents() = d.residents(0); }),
            "decision.residents.model");
  EXPECT_EQ(refused([](Request&, Decision& d) { d.mutable_residents(0)->set_reload_cost(0); }),
            "decision.residents.reload_cost");
  EXPECT_EQ(refused([](Request&, Decision& d) { d.mutable_residents(0)->clear_phase(); }),
            "decision.residents.phase");
}

TEST_F(ReplayPolicyTest, TakesSoManyDecisionsAndNoMore) {
  v1::ReplayPolicyRequest request;
  for (int i = 0; i < 2048; ++i) *request.add_events() = Decided(v1::PolicyDecision::KIND_ADMIT);
  request.add_events()->set_number(8);  // no decision
  EXPECT_TRUE(Replay(request).ok());
  EXPECT_EQ(response_.replays_size(), 2048);
  *request.add_events() = Decided(v1::PolicyDecision::KIND_ADMIT);
  const grpc::Status status = Replay(request);
  EXPECT_ERROR(status, INVALID_ARGUMENT, "INVALID_REQUEST");
  EXPECT_EQ(ErrorInfoOf(status).metadata().at("field"), "events");
  EXPECT_NE(status.error_message().find("2049"), std::string::npos) << status.error_message();
}

TEST_F(ReplayPolicyTest, OneRunsAtATime) {
  v1::ReplayPolicyRequest request;
  *request.add_events() = Decided(v1::PolicyDecision::KIND_ADMIT);
  {
    const auto running = daemon_.context().replay_admission.TryAdmit();
    ASSERT_TRUE(running);
    EXPECT_ERROR(Replay(request), RESOURCE_EXHAUSTED, "TOO_MANY_STREAMS");
  }
  EXPECT_TRUE(Replay(request).ok());
}

TEST_F(ReplayPolicyTest, StopsWhenItsClientIsGone) {
  v1::ReplayPolicyRequest request;
  for (int i = 0; i < 2048; ++i) *request.add_events() = Hard();
  const auto start = std::chrono::steady_clock::now();
  ASSERT_TRUE(Replay(request).ok());
  const auto whole = std::chrono::steady_clock::now() - start;
  grpc::ClientContext context;
  std::jthread leaves([&] {
    while (daemon_.context().replay_admission.count() == 0) std::this_thread::yield();
    context.TryCancel();
  });
  const auto second_start = std::chrono::steady_clock::now();
  EXPECT_EQ(daemon_.NewStub()->ReplayPolicy(&context, request, &response_).error_code(),
            grpc::StatusCode::CANCELLED);
  while (daemon_.context().replay_admission.count() > 0) std::this_thread::yield();
  EXPECT_LT(std::chrono::steady_clock::now() - second_start, whole / 2);
}

TEST_F(ReplayPolicyTest, StopsWhenTheDaemonDrains) {
  v1::ReplayPolicyRequest request;
  *request.add_events() = Decided(v1::PolicyDecision::KIND_ADMIT);
  daemon_.context().running_calls.BeginDrain();
  EXPECT_ERROR(Replay(request), UNAVAILABLE, "SHUTTING_DOWN");
}

}  // namespace
}  // namespace forge::testing
