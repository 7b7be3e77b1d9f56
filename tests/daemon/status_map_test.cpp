#include "daemon/rpc/status_map.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>
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

TEST(StatusMapTest, SaysWhenACallMaySucceed) {
  const auto delay = [](const Status& status) {
    return DetailOf<google::rpc::RetryInfo>(ToGrpc(status))->retry_delay();
  };
  EXPECT_EQ(delay(Unavailable("x")).seconds(), 1);
  const auto cooling =
      delay(Unavailable("x").WithReason("MODEL_COOLING_DOWN").WithDetail("retryAfterMs", 90'500u));
  EXPECT_EQ(cooling.seconds(), 90);
  EXPECT_EQ(cooling.nanos(), 500'000'000);
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

// The characters that reasons are made of.
constexpr char kReasonCharacters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ_";

// The reason that `text` begins with; empty if it does not begin with one.
std::string LeadingReason(std::string_view text) {
  return std::string(text.substr(0, text.find_first_not_of(kReasonCharacters)));
}

TEST(ReasonsTest, AreNamedOnceAndWell) {
  std::set<std::string_view> seen;
  for (const Reason& reason : Reasons()) {
    EXPECT_EQ(LeadingReason(reason.name), reason.name);
    EXPECT_LE(reason.name.size(), 63u);
    EXPECT_TRUE(seen.insert(reason.name).second) << reason.name;
  }
}

TEST(ReasonsTest, DocumentationListsExactlyThese) {
  // Rows of the table: | `REASON` | `CODE` | ...
  std::ifstream page(fs::path(FORGE_SOURCE_DIR) / "docs/protocol.md");
  std::map<std::string, std::string> documented;
  for (std::string line; std::getline(page, line);) {
    if (!line.starts_with("| `")) continue;
    const std::string reason = LeadingReason(line.substr(3));
    const std::string separator = "` | `";
    if (reason.empty() || line.compare(3 + reason.size(), separator.size(), separator) != 0)
      continue;
    documented[reason] = LeadingReason(line.substr(3 + reason.size() + separator.size()));
  }
  std::map<std::string, std::string> known;
  for (const Reason& reason : Reasons()) {
    known[std::string(reason.name)] = StatusCodeName(reason.code);
  }
  EXPECT_EQ(documented, known);
}

// Adds what follows each `opening` in `source`, spaces and a quote, if it is a reason.
void CollectReasons(const std::string& source, const std::string& opening,
                    std::set<std::string>& found) {
  for (size_t at = source.find(opening); at != std::string::npos;
       at = source.find(opening, at + 1)) {
    const size_t quote = source.find_first_not_of(" \n", at + opening.size());
    if (quote == std::string::npos || source[quote] != '"') continue;
    const std::string reason = LeadingReason(std::string_view(source).substr(quote + 1));
    const bool is_whole = source.compare(quote + 1 + reason.size(), 1, "\"") == 0;
    if (is_whole && reason.find('_') != std::string::npos) found.insert(reason);
  }
}

// Every reason that the sources give, as a literal or as a named constant.
std::set<std::string> ReasonsInSources() {
  std::set<std::string> found;
  for (const char* folder : {"engine", "kernels", "daemon"}) {
    const fs::path root = fs::canonical(fs::path(FORGE_SOURCE_DIR) / folder);
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(root)) {
      const std::string suffix = entry.path().extension().string();
      if (suffix != ".cpp" && suffix != ".h") continue;
      const std::string source = ReadAll(entry.path());
      CollectReasons(source, "WithReason(", found);
      size_t at = source.find("string_view k");
      for (; at != std::string::npos; at = source.find("string_view k", at + 1)) {
        const size_t equals = source.find_first_of("=;", at);
        if (equals == std::string::npos || source[equals] != '=') continue;
        CollectReasons(source.substr(equals, 80), "=", found);
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
