#include "bench/speed_test.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace forge {
namespace {

using ::testing::ElementsAre;

TEST(SpeedTestTest, IsNamedAsLlamaBenchNamesIt) {
  EXPECT_EQ((SpeedTest{.n_prompt = 512}).Name(), "pp512");
  EXPECT_EQ((SpeedTest{.n_gen = 64, .n_depth = 4096}).Name(), "tg64 @ d4096");
  EXPECT_EQ((SpeedTest{.n_prompt = 32, .n_gen = 8}).Name(), "pp32+tg8");
}

TEST(SpeedTestTest, ReadsListsOfNumbers) {
  const Result<std::vector<uint32_t>> numbers = ParseNumbers("-p", "8,16,0");
  ASSERT_TRUE(numbers.ok());
  EXPECT_THAT(*numbers, ElementsAre(8, 16, 0));
  for (const char* text : {"", "8,", "a", "-1", "8 16", "1048577", "99999999999"}) {
    const Status status = ParseNumbers("-p", text).status();
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << text;
    EXPECT_THAT(std::string(status.message()), ::testing::HasSubstr("-p")) << text;
  }
}

TEST(SpeedTestTest, NeedsBothPartsOfAPromptAndGeneration) {
  ASSERT_TRUE(ParsePromptAndGen("512,64").ok());
  EXPECT_EQ(*ParsePromptAndGen("512,64"), (SpeedTest{.n_prompt = 512, .n_gen = 64}));
  for (const char* text : {"512", "512,0", "0,64", "1,2,3", "x"})
    EXPECT_FALSE(ParsePromptAndGen(text).ok()) << text;
}

TEST(SpeedTestTest, ReadsNumbersOfStreams) {
  const Result<std::vector<SpeedTest>> tests = ParseStreams("1,16", {0, 2048});
  ASSERT_TRUE(tests.ok());
  ASSERT_EQ(tests->size(), 4u);
  EXPECT_EQ((*tests)[0].Name(), "tg24 @ d32");
  EXPECT_EQ((*tests)[1].Name(), "tg24 @ d2048");
  EXPECT_EQ((*tests)[2].Name(), "tg24 @ d32 x 16");
  EXPECT_EQ((*tests)[3].Name(), "tg24 @ d2048 x 16");
  EXPECT_EQ((*tests)[2].n_tokens(), 16u * 24u);
  EXPECT_TRUE(ParseStreams("", {0})->empty());
  for (const char* text : {"0", "257", "8,", "x"})
    EXPECT_EQ(ParseStreams(text, {0}).status().code(), StatusCode::kInvalidArgument) << text;
}

TEST(SpeedTestTest, CombinesEveryDepthWithEveryTest) {
  const std::vector<SpeedTest> tests =
      CombineTests({512, 0}, {64}, {{.n_prompt = 16, .n_gen = 4}}, {0, 100});
  ASSERT_EQ(tests.size(), 6u);
  EXPECT_EQ(tests[0].Name(), "pp512");
  EXPECT_EQ(tests[1].Name(), "tg64");
  EXPECT_EQ(tests[2].Name(), "pp16+tg4");
  EXPECT_EQ(tests[3].Name(), "pp512 @ d100");
}

}  // namespace
}  // namespace forge
