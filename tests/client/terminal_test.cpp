#include <gtest/gtest.h>

#include <sstream>

#include "client/commands/model_pages.h"
#include "client/commands/value_checks.h"
#include "client/terminal/json_output.h"
#include "client/terminal/progress_bar.h"
#include "client/terminal/quote.h"
#include "client/terminal/text_table.h"
#include "client/terminal/units.h"
#include "client/text_input.h"
#include "forge/v1/forge.pb.h"

namespace forge::client {
namespace {

TEST(UnitsTest, ShowsBytesWithThreeDigits) {
  EXPECT_EQ(FormatBytes(0), "0 B");
  EXPECT_EQ(FormatBytes(1023), "1023 B");
  EXPECT_EQ(FormatBytes(1024), "1.00 KiB");
  EXPECT_EQ(FormatBytes(117440512), "112 MiB");
  EXPECT_EQ(FormatBytes(int64_t{3} << 29), "1.50 GiB");
  EXPECT_EQ(FormatBytes(1048575), "1.00 MiB");
}

TEST(UnitsTest, ShowsDurationsInTheUnitThatFits) {
  google::protobuf::Duration duration;
  duration.set_nanos(350'000);
  EXPECT_EQ(FormatDuration(duration), "350 us");
  duration.set_nanos(18'000'000);
  EXPECT_EQ(FormatDuration(duration), "18.0 ms");
  duration.set_seconds(12);
  EXPECT_EQ(FormatDuration(duration), "12.0 s");
}

TEST(UnitsTest, ShowsSpansByTheirTwoLargestUnits) {
  EXPECT_EQ(FormatSpan(0), "0s");
  EXPECT_EQ(FormatSpan(59), "59s");
  EXPECT_EQ(FormatSpan(300), "5m");
  EXPECT_EQ(FormatSpan(310), "5m 10s");
  EXPECT_EQ(FormatSpan(7205), "2h");
  EXPECT_EQ(FormatSpan(86'400 + 3 * 3600 + 59), "1d 3h");
}

TEST(UntilTextTest, SaysHowLongAModelStays) {
  v1::Residency residency;
  EXPECT_EQ(UntilText(residency, 1000), "forever");
  residency.mutable_keep_alive()->set_seconds(300);
  EXPECT_EQ(UntilText(residency, 1000), "5m after use") << "it is in use";
  residency.mutable_expire_time()->set_seconds(1090);
  EXPECT_EQ(UntilText(residency, 1000), "in 1m 30s");
  EXPECT_EQ(UntilText(residency, 2000), "in 0s");
  residency.mutable_keep_alive()->set_seconds(int64_t{365} * 86'400);
  EXPECT_EQ(UntilText(residency, 1000), "forever");
  residency.set_pinned(true);
  EXPECT_EQ(UntilText(residency, 1000), "pinned");
}

TEST(UnitsTest, ShowsCountsInDecimalUnits) {
  EXPECT_EQ(FormatCount(494'032'768), "494 M");
  EXPECT_EQ(FormatCount(7'615'616'512), "7.62 B");
}

TEST(TextTableTest, AlignsColumnsByCharactersNotBytes) {
  TextTable table({"NAME", "SIZE"});
  table.AddRow({"h\xC3\xA9l\xC3\xA8ne", "1"});  // six characters in eight bytes
  table.AddRow({"ab", "2"});
  std::ostringstream out;
  table.Print(out);
  EXPECT_EQ(out.str(), "NAME    SIZE\nh\xC3\xA9l\xC3\xA8ne  1\nab      2\n");
}

TEST(ProgressBarTest, FillsInProportionAndStaysInBounds) {
  EXPECT_EQ(RenderBar(0.0, 4), "[----]");
  EXPECT_EQ(RenderBar(0.5, 4), "[##--]");
  EXPECT_EQ(RenderBar(7.0, 4), "[####]");
  EXPECT_EQ(RenderBar(-1.0, 4), "[----]");
}

TEST(ProgressBarTest, CutsALineByCharacters) {
  EXPECT_EQ(CutToWidth("abc", 5), "abc");
  EXPECT_EQ(CutToWidth("abc", 2), "ab");
  EXPECT_EQ(CutToWidth("h\xC3\xA9l\xC3\xA8ne", 2), "h\xC3\xA9");
  EXPECT_EQ(CutToWidth("abc", 0), "");
}

TEST(QuoteTest, ShowsControlsInPlaceOfObeyingThem) {
  EXPECT_EQ(WithoutControls("a\tb\n"), "a\tb\n");
  EXPECT_EQ(WithoutControls("\033]0;title\a\x7f\r"), "\\x1b]0;title\\x07\\x7f\\x0d");
  EXPECT_EQ(WithoutControls("\xC2\x9B 2J \xC3\xA9 \xC2\xA0"), "\\x9b 2J \xC3\xA9 \xC2\xA0");
  EXPECT_EQ(Quote("\033[2J \a \xC2\x9B \"\n"), "\"\\e[2J \\x07 \\x9b \\\"\\n\"");
}

TEST(TextInputTest, FindsTheFirstByteThatIsNoUtf8) {
  EXPECT_EQ(FindInvalidUtf8("h\xC3\xA9l\xF0\x9F\xA6\x8A"), std::nullopt);
  EXPECT_EQ(FindInvalidUtf8("caf\xE9"), 3u);
  EXPECT_EQ(FindInvalidUtf8("ab\xC3"), 2u) << "cut within a character";
  EXPECT_EQ(FindInvalidUtf8("\xC0\xAF"), 0u) << "longer than need be";
  EXPECT_EQ(FindInvalidUtf8("x\xED\xA0\x80"), 1u) << "half of a surrogate pair";
  EXPECT_EQ(FindInvalidUtf8("\xF4\x90\x80\x80"), 0u) << "above U+10FFFF";
}

TEST(ValueChecksTest, TellAnAddressFromAPathAndAUrl) {
  for (const char* good : {"unix:///run/forge/forge.sock", "127.0.0.1:50051", "[::1]:50051",
                           "http-gateway:50051", "unix-abstract:forge"})
    EXPECT_EQ(IsAddress(good), "") << good;
  for (const char* bad : {"", "foo", "/run/forge/forge.sock", "http://localhost:50051"})
    EXPECT_NE(IsAddress(bad), "") << bad;
}

TEST(ValueChecksTest, TakeNoNumberThatWouldBeAnother) {
  EXPECT_EQ(IsUnsigned64("18446744073709551615"), "");
  for (const char* bad : {"", "-1", "18446744073709551616", "1x"})
    EXPECT_NE(IsUnsigned64(bad), "") << bad;
}

TEST(JsonOutputTest, PrintsOneLineWithEveryKey) {
  v1::Usage usage;
  usage.set_prompt_tokens(3);
  const std::string json = ToJson(usage);
  EXPECT_EQ(json.find('\n'), std::string::npos);
  EXPECT_NE(json.find("\"promptTokens\":3"), std::string::npos);
  EXPECT_NE(json.find("\"outputTokens\":0"), std::string::npos);
}

}  // namespace
}  // namespace forge::client
