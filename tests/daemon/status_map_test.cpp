#include "daemon/rpc/status_map.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>

#include "daemon/rpc/reasons.h"
#include "tests/daemon/daemon_fixture.h"

namespace forge {
namespace {

namespace fs = std::filesystem;
using testing::DetailOf;
using testing::ErrorInfoOf;
using ::testing::HasSubstr;

std::string ReadAll(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

TEST(StatusMapTest, OkCarriesNothing) {
  const grpc::Status status = ToGrpc(Status());
  EXPECT_TRUE(status.ok());
  EXPECT_TRUE(status.error_details().empty());
}

TEST(StatusMapTest, EveryCodeKeepsItsNumberAndGetsItsNameAsReason) {
  for (int code = 1; code <= 16; ++code) {
    const grpc::Status status = ToGrpc(Status(static_cast<StatusCode>(code), "message"));
    EXPECT_EQ(static_cast<int>(status.error_code()), code);
    EXPECT_EQ(status.error_message(), "message");
    const auto info = ErrorInfoOf(status);
    EXPECT_EQ(info.reason(), StatusCodeName(static_cast<StatusCode>(code)));
    EXPECT_EQ(info.domain(), "forge.local");
  }
}

TEST(StatusMapTest, CarriesReasonAndDetails) {
  const grpc::Status status = ToGrpc(ResourceExhausted("too big")
                                         .WithReason("GPU_BUDGET_EXCEEDED")
                                         .WithDetail("requestedBytes", 5)
                                         .WithDetail("freeBytes", 3));
  const auto info = ErrorInfoOf(status);
  EXPECT_EQ(info.reason(), "GPU_BUDGET_EXCEEDED");
  EXPECT_EQ(info.metadata().at("requestedBytes"), "5");
  EXPECT_EQ(info.metadata().at("freeBytes"), "3");
}

TEST(StatusMapTest, TellsWhenTryingAgainMayHelp) {
  const auto may_retry = [](const Status& status) {
    return DetailOf<google::rpc::RetryInfo>(ToGrpc(status)).has_value();
  };
  EXPECT_TRUE(may_retry(Unavailable("x")));
  for (const char* reason : {"QUEUE_FULL", "MODEL_BUSY", "TOO_MANY_STREAMS"}) {
    EXPECT_TRUE(may_retry(ResourceExhausted("x").WithReason(reason))) << reason;
  }
  EXPECT_FALSE(may_retry(ResourceExhausted("x").WithReason("GPU_BUDGET_EXCEEDED")));
  EXPECT_FALSE(may_retry(ResourceExhausted("x").WithReason("SLOW_READER")));
  EXPECT_FALSE(may_retry(Internal("x")));
  EXPECT_FALSE(may_retry(NotFound("x").WithReason("QUEUE_FULL")));
}

TEST(StatusMapTest, NamesTheFieldOfABadRequest) {
  const auto bad = DetailOf<google::rpc::BadRequest>(
      ToGrpc(InvalidArgument("top_k is -1").WithDetail("field", "top_k")));
  ASSERT_TRUE(bad);
  EXPECT_EQ(bad->field_violations(0).field(), "top_k");
  EXPECT_EQ(bad->field_violations(0).description(), "top_k is -1");
  EXPECT_FALSE(DetailOf<google::rpc::BadRequest>(ToGrpc(InvalidArgument("x"))));
  EXPECT_FALSE(
      DetailOf<google::rpc::BadRequest>(ToGrpc(NotFound("x").WithDetail("field", "model"))));
}

TEST(StatusMapTest, MakesTextsValidAndKeepsThemBelowTheMetadataLimit) {
  Status status = InvalidArgument(std::string("bad \xff").append(100'000, '\xe9'))
                      .WithDetail("field", std::string(100'000, '\xff'));
  for (int i = 0; i < 100; ++i) {
    status = status.WithDetail(std::to_string(i), std::string(10'000, 'v'));
  }
  const grpc::Status wire = ToGrpc(status);
  EXPECT_THAT(wire.error_message(), HasSubstr("bad \xef\xbf\xbd"));
  ErrorInfoOf(wire);  // parses
  // Percent-encoding triples the message at worst, base64 adds a third to the details.
  const size_t on_wire = 3 * wire.error_message().size() + wire.error_details().size() * 4 / 3;
  EXPECT_LT(on_wire, 8000u);
}

// ---- The table of reasons

TEST(ReasonsTest, AreNamedOnceAndWell) {
  const std::regex well_formed("[A-Z][A-Z0-9_]{0,62}");
  std::set<std::string_view> seen;
  for (const Reason& reason : Reasons()) {
    EXPECT_TRUE(std::regex_match(std::string(reason.name), well_formed)) << reason.name;
    EXPECT_TRUE(seen.insert(reason.name).second) << reason.name;
  }
}

TEST(ReasonsTest, DocumentationListsExactlyThese) {
  const std::string page = ReadAll(fs::path(FORGE_SOURCE_DIR) / "docs/protocol.md");
  const std::regex row(R"(\n\| `([A-Z_]+)` \| `([A-Z_]+)` \|)");
  std::map<std::string, std::string> documented;
  for (std::sregex_iterator match(page.begin(), page.end(), row), end; match != end; ++match) {
    documented[(*match)[1]] = (*match)[2];
  }
  std::map<std::string, std::string> known;
  for (const Reason& reason : Reasons()) {
    known[std::string(reason.name)] = StatusCodeName(reason.code);
  }
  EXPECT_EQ(documented, known);
}

// Every reason that the sources give, as a literal or as a named constant.
std::set<std::string> ReasonsInSources() {
  const std::regex given(R"re(WithReason\(\s*"([A-Z_]+)"|string_view k\w+ = "([A-Z]+_[A-Z_]+)")re");
  std::set<std::string> found;
  for (const char* folder : {"engine", "kernels", "daemon"}) {
    const fs::path root = fs::canonical(fs::path(FORGE_SOURCE_DIR) / folder);
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(root)) {
      const std::string suffix = entry.path().extension().string();
      if (suffix != ".cpp" && suffix != ".h") continue;
      const std::string source = ReadAll(entry.path());
      for (std::sregex_iterator match(source.begin(), source.end(), given), end; match != end;
           ++match) {
        found.insert((*match)[1].matched ? (*match)[1] : (*match)[2]);
      }
    }
  }
  return found;
}

TEST(ReasonsTest, SourcesGiveExactlyThese) {
  std::set<std::string> known;
  for (const Reason& reason : Reasons()) known.insert(std::string(reason.name));
  EXPECT_EQ(ReasonsInSources(), known);
}

}  // namespace
}  // namespace forge
