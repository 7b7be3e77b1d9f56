#include "daemon/telemetry/audit_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/sinks/ostream_sink.h>
#include <sys/resource.h>

#include <csignal>
#include <fstream>
#include <new>
#include <sstream>

#include "tests/daemon/daemon_fixture.h"
#include "tests/support/temporary_files.h"

namespace forge::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

class AuditFileTest : public ::testing::Test {
 protected:
  std::vector<std::string> Lines(const std::string& name) const {
    std::vector<std::string> lines;
    std::ifstream file(directory_.path() / name);
    for (std::string line; std::getline(file, line);) lines.push_back(line);
    return lines;
  }
  static void Append(AuditFile& file, const std::string& line) {
    file.Append([line] { return line; });
  }

  TempDirectory directory_;
  std::ostringstream logged_;
  spdlog::logger log_{"test", std::make_shared<spdlog::sinks::ostream_sink_mt>(logged_)};
};

TEST_F(AuditFileTest, AppendsLinesAlsoToAnOldFile) {
  directory_.WriteFile("state/audit.jsonl", "old\n");
  {
    AuditFile file(directory_.path() / "state" / "audit.jsonl", 1 << 20, log_);
    Append(file, "new");
  }
  EXPECT_EQ(Lines("state/audit.jsonl"), (std::vector<std::string>{"old", "new"}));
}

TEST_F(AuditFileTest, DropsALineThatCannotBeMade) {
  {
    AuditFile file(directory_.path() / "a", 1 << 20, log_);
    file.Append([]() -> std::string { throw std::bad_alloc(); });
    Append(file, "next");
  }
  EXPECT_EQ(Lines("a"), std::vector<std::string>{"next"});
  EXPECT_THAT(logged_.str(), HasSubstr("1 lines of"));
}

TEST_F(AuditFileTest, NeverTakesMoreThanItsBoundAndLosesTheOldestFirst) {
  constexpr uint64_t kMaxBytes = 2'000;
  AuditFile file(directory_.path() / "a", kMaxBytes, log_);
  for (int i = 0; i < 1'000; ++i) {
    Append(file, "line " + std::to_string(i));
    file.Flush();
    uint64_t bytes = std::filesystem::file_size(directory_.path() / "a");
    if (std::filesystem::exists(directory_.path() / "a.1"))
      bytes += std::filesystem::file_size(directory_.path() / "a.1");
    ASSERT_LE(bytes, kMaxBytes);
  }
  std::vector<std::string> lines = Lines("a.1");
  for (const std::string& line : Lines("a")) lines.push_back(line);
  ASSERT_GT(lines.size(), 80u);
  for (size_t i = 0; i < lines.size(); ++i)
    EXPECT_EQ(lines[i], "line " + std::to_string(1'000 - lines.size() + i));
}

TEST_F(AuditFileTest, APlaceThatCannotBeWrittenHurtsNobodyAndIsNamedOnce) {
  directory_.WriteFile("no_directory", "");
  AuditFile file(directory_.path() / "no_directory" / "a", 1 << 20, log_);
  for (int i = 0; i < 10; ++i) Append(file, "x");
  file.Flush();
  const std::string logged = logged_.str();
  EXPECT_THAT(logged, HasSubstr("cannot write"));
  EXPECT_EQ(logged.find("cannot write"), logged.rfind("cannot write"));
}

// A limit on the size of files stands in for a disk that is full: a write comes up short, then
// fails.
TEST_F(AuditFileTest, AFullDiskLeavesWholeLinesAndIsLeftBehind) {
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit before = {};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  AuditFile file(directory_.path() / "a", 1 << 20, log_);
  const std::string line(99, 'x');
  for (int i = 0; i < 5; ++i) Append(file, line);
  file.Flush();
  rlimit full = before;
  full.rlim_cur = 750;
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &full), 0);
  for (int i = 0; i < 5; ++i) Append(file, line);
  file.Flush();
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  EXPECT_THAT(Lines("a"), SizeIs(7));
  Append(file, line);
  file.Flush();
  EXPECT_THAT(Lines("a"), ::testing::AllOf(SizeIs(8), ::testing::Each(line)));
  EXPECT_THAT(logged_.str(), HasSubstr("3 lines of"));
}

}  // namespace
}  // namespace forge::testing
