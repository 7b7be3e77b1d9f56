#include "daemon/telemetry/log.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

namespace forge {
namespace {

const spdlog::log_clock::time_point kTime =
    spdlog::log_clock::from_time_t(1'700'000'000) + std::chrono::milliseconds(42);

TEST(LogTest, WritesPrioritiesForTheJournal) {
  const std::pair<spdlog::level::level_enum, const char*> cases[] = {
      {spdlog::level::critical, "<3>x"}, {spdlog::level::err, "<3>x"},
      {spdlog::level::warn, "<4>x"},     {spdlog::level::info, "<6>x"},
      {spdlog::level::debug, "<7>x"},
  };
  for (const auto& [level, line] : cases) {
    EXPECT_EQ(FormatLogLine(level, kTime, "x", LogFormat::kJournal), line);
  }
}

TEST(LogTest, WritesTimeAndLevelElsewhere) {
  EXPECT_EQ(FormatLogLine(spdlog::level::warn, kTime, "careful", LogFormat::kPlain),
            "2023-11-14T22:13:20.042Z warning careful");
}

TEST(LogTest, EscapesControlCharacters) {
  EXPECT_EQ(FormatLogLine(spdlog::level::info, kTime, "a\n<3>b\x1b[31m", LogFormat::kJournal),
            "<6>a\\x0a<3>b\\x1b[31m");
}

TEST(LogTest, RecognisesTheJournalByDeviceAndInode) {
  struct stat info = {};
  ASSERT_EQ(::fstat(STDERR_FILENO, &info), 0);
  const std::string ours = fmt::format("{}:{}", info.st_dev, info.st_ino);
  const std::string other = fmt::format("{}:{}", info.st_dev, info.st_ino + 1);
  EXPECT_TRUE(IsJournalStream(STDERR_FILENO, ours.c_str()));
  EXPECT_FALSE(IsJournalStream(STDERR_FILENO, other.c_str()));
  EXPECT_FALSE(IsJournalStream(STDERR_FILENO, nullptr));
  EXPECT_FALSE(IsJournalStream(-1, ours.c_str()));
}

}  // namespace
}  // namespace forge
