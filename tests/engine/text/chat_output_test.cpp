#include "engine/text/chat_output.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <vector>

#include "tests/engine/text/told_answer.h"

namespace forge {
namespace {

using testing::Content;
using testing::Read;
using testing::Told;

const ChatOutputOptions kChannels = {.has_channels = true};
const ChatOutputOptions kChannelsWithTools = {.has_channels = true,
                                              .tool_format = ToolFormat::kGptOss};

TEST(ChatOutputParserTest, LeavesPlainAnswersAlone) {
  for (const std::string answer :
       {"", "Hello!", " Hello\n\n", "a <think>b</think>", "<", "<thin", "<thinking>", "\n\n",
        "<tool_call>{\"name\": \"f\", \"arguments\": {}}</tool_call>", "{\"name\": \"f\"}"})
    EXPECT_EQ(Read(answer), Content(answer));
}

TEST(ChatOutputParserTest, TellsReasoningFromContent) {
  EXPECT_EQ(Read("<think>\nhm\nhm\n</think>\n\nHi <b>"),
            (Told{"Hi <b>", "hm\nhm", "", "R(hm\nhm)C(Hi <b>)"}));
  EXPECT_EQ(Read("\n<think>a</think>b"), (Told{"b", "a", "", "R(a)C(b)"}));
  EXPECT_EQ(Read("<think>\n\n</think>\n\nHi"), (Told{"Hi", "", "", "C(Hi)"}));
  EXPECT_EQ(Read("<think>never </thin"), (Told{"", "never </thin", "", "R(never </thin)"}));
  EXPECT_EQ(Read("hm</think>\nHi", {.open_thinking = "<think>"}),
            (Told{"Hi", "hm", "", "R(hm)C(Hi)"}));
}

// Looked through anew with each of its bytes it would take minutes.
TEST(ChatOutputParserTest, ReadsALongCallInTimeHoweverItIsCut) {
  const std::string text(200'000, '<');
  const std::string call =
      R"(<tool_call>{"name": "f", "arguments": {"x": ")" + text + R"("}}</tool_call>)";
  const auto start = std::chrono::steady_clock::now();
  const Told told = Read(call, {.tool_format = ToolFormat::kQwen}, 1);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20));
  EXPECT_EQ(told.calls, R"(call00001:f{"x": ")" + text + R"("};)");
}

TEST(ChatOutputParserTest, TellsChannelsApart) {
  EXPECT_EQ(
      Read("<|channel|>analysis<|message|>User says hi.\nGreet.<|end|>"
           "<|start|>assistant<|channel|>final<|message|>Hello <b>!",
           kChannels),
      (Told{"Hello <b>!", "User says hi.\nGreet.", "", "R(User says hi.\nGreet.)C(Hello <b>!)"}));
  EXPECT_EQ(Read("<|channel|>final<|message|>Hi<|end|>", kChannels), Content("Hi"));
  EXPECT_EQ(Read("<|message|>Hi", kChannels), Content("Hi"));
  // Several messages of a kind, and a message that never ends.
  EXPECT_EQ(Read("<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>commentary"
                 "<|message|>I look.<|end|><|start|>assistant<|channel|>analysis<|message|>b"
                 "<|channel|>final<|message|>Done.",
                 kChannels),
            (Told{"I look.\nDone.", "a\nb", "", "R(a)C(I look.)R(\nb)C(\nDone.)"}));
  for (const std::string cut : {"", "<|chan", "<|channel|>analysis", "<|channel|>final<|message|>"})
    EXPECT_EQ(Read(cut, kChannels), Content("")) << cut;
  EXPECT_EQ(Read("<|channel|>final<|message|>a <|en", kChannels), Content("a <|en"));
  // No headers at all.
  for (const std::string answer : {"Hello <|end|>", "<|chant|>", " Hello"})
    EXPECT_EQ(Read(answer, kChannels), Content(answer));
}

TEST(ChatOutputParserTest, ReadsTheCallsOfGptOss) {
  const std::string call =
      "<|channel|>commentary to=functions.get_weather <|constrain|>json<|message|>"
      "{\"location\":\"Tokyo\"}";
  EXPECT_EQ(Read("<|channel|>analysis<|message|>Ask.<|end|><|start|>assistant" + call,
                 kChannelsWithTools),
            (Told{"", "Ask.", "call00001:get_weather{\"location\": \"Tokyo\"};",
                  "R(Ask.)T(assistant" + call + ")"}));
  // The recipient may stand before the channel, as the template writes it.
  EXPECT_EQ(
      Read(" to=functions.f<|channel|>commentary json<|message|>{}", kChannelsWithTools).calls,
      "call00001:f{};");
  for (const std::string answer : {" to=functions.f<|channel|>commentary<|message|>nonsense",
                                   " to=functions.<|channel|>commentary<|message|>{}",
                                   "<|channel|>analysis to=python code<|message|>print(1)"})
    EXPECT_EQ(Read(answer, kChannelsWithTools), Content(answer));
  EXPECT_EQ(Read(call, kChannels), Content(call));
}

// Looked through anew with each of its bytes any of these would take minutes.
TEST(ChatOutputParserTest, ReadsLongMessagesInTimeHoweverTheyAreCut) {
  const auto start = std::chrono::steady_clock::now();
  const std::string text(100'000, '<');
  const std::string header = " to=functions.f<|channel|>commentary<|message|>";
  EXPECT_EQ(Read(header + "{\"a\": \"" + text + "\"}", kChannelsWithTools, 1).calls,
            "call00001:f{\"a\": \"" + text + "\"};");
  const std::string too_long(300'000, '{');
  EXPECT_EQ(Read(header + too_long, kChannelsWithTools, 1).content, header + too_long);
  std::string bars;
  while (bars.size() < 200'000) bars += "<|";
  EXPECT_EQ(Read("<|message|>" + bars, kChannels, 1).content, bars);
  EXPECT_EQ(Read("<|channel|>" + bars, kChannels, 1).content, "<|channel|>" + bars);
  std::string messages;
  while (messages.size() < 200'000) messages += "<|channel|>final<|message|>a<|end|><|start|>";
  EXPECT_EQ(Read(messages, kChannels, 1).content.size(), 2 * (messages.size() / 44) - 1);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20));
}

TEST(ChatOutputParserTest, ReadsTheReasoningOfGemma4) {
  EXPECT_EQ(Read("<|channel>thought\nhm\n<channel|>Hi", {}), (Told{"Hi", "hm", "", "R(hm)C(Hi)"}));
  EXPECT_EQ(Read("<|channel>thought\n<channel|>Hi", {}), Content("Hi"));
  for (const std::string text :
       {"<|channel>plan\nx<channel|>", "<|channel>thou", "a<|channel>thought"})
    EXPECT_EQ(Read(text), Content(text));
  EXPECT_TRUE(ChatOutputParser::IsMarker("<|channel>"));
  EXPECT_TRUE(ChatOutputParser::IsMarker("<channel|>"));
  EXPECT_FALSE(ChatOutputParser::IsMarker("<|turn>"));
}

TEST(ChatOutputParserTest, HoldsBackNoMoreThanItMust) {
  ChatOutputParser parser({.tool_format = ToolFormat::kQwen});
  parser.Add("Hello <");
  EXPECT_EQ(parser.Take().text, "Hello");
  parser.Add("b> ");
  EXPECT_EQ(parser.Take().text, " <b>");
  parser.Add(std::string(100'000, ' '));
  EXPECT_GT(parser.Take().text.size(), 90'000u);
  parser.Add("<tool_call>" + std::string(400'000, 'x'));
  EXPECT_GT(parser.TakeRest().text.size(), 400'000u);
}

}  // namespace
}  // namespace forge
