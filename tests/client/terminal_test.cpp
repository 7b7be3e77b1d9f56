#include <gtest/gtest.h>

#include <sstream>

#include "client/terminal/json_output.h"
#include "client/terminal/progress_bar.h"
#include "client/terminal/text_table.h"
#include "client/terminal/units.h"
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
