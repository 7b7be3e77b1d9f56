#include "client/commands/chat_flags.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>

#include "client/commands/answer_printer.h"
#include "tests/support/temporary_files.h"

namespace forge::client {
namespace {

using ::testing::HasSubstr;

v1::ChatMessages Parse(const std::string& line) {
  CLI::App app;
  ChatFlags flags;
  AddChatFlags(app, flags);
  app.parse(line);
  v1::ChatMessages chat;
  SetChatFlags(flags, chat);
  return chat;
}

std::string Refusal(const std::string& line) {
  try {
    Parse(line);
  } catch (const CLI::ValidationError& error) {
    return error.what();
  }
  return "";
}

// A file of tools, gone with the test.
class ToolsFile {
 public:
  explicit ToolsFile(const std::string& text) : file_(text, ".json") {}
  std::string Flag() const { return "--tools " + file_.path().string(); }

 private:
  testing::TempFile file_;
};

TEST(ChatFlagsTest, ReadsToolsInBothShapesAndKeepsTheirOrder) {
  const ToolsFile file(
      R"([{"type": "function", "function": {"name": "f", "description": "d",)"
      R"( "parameters": {"b": 1, "a": {"z": 0, "y": 18446744073709551615}}}}, {"name": "g"}])");
  const v1::ChatMessages chat = Parse(file.Flag());
  ASSERT_EQ(chat.tools_size(), 2);
  EXPECT_EQ(chat.tools(0).name(), "f");
  EXPECT_EQ(chat.tools(0).description(), "d");
  EXPECT_EQ(chat.tools(0).parameters_json(), R"({"b":1,"a":{"z":0,"y":18446744073709551615}})");
  EXPECT_EQ(chat.tools(1).name(), "g");
  EXPECT_EQ(chat.tools(1).parameters_json(), "");
}

TEST(ChatFlagsTest, ReadsTemplateOptionsAsJsonOrElseAsStrings) {
  EXPECT_EQ(Parse("").template_options_json(), "");
  EXPECT_EQ(Parse("--no-think").template_options_json(), R"({"enable_thinking":false})");
  EXPECT_EQ(
      Parse("--template-option n=5 --template-option day=Monday --template-option \"l=[1, 2]\"")
          .template_options_json(),
      R"({"n":5,"day":"Monday","l":[1,2]})");
}

TEST(ChatFlagsTest, NamesWhatItCannotUse) {
  EXPECT_THAT(Refusal("--tools /nonexistent"), HasSubstr("cannot read '/nonexistent'"));
  EXPECT_THAT(Refusal(ToolsFile("{}").Flag()), HasSubstr("is no JSON list"));
  EXPECT_THAT(Refusal("--template-option x"), HasSubstr("'x' is not NAME=VALUE"));
  const ToolsFile nameless(R"([{"function": {}}])");
  EXPECT_THAT(Refusal(nameless.Flag()), HasSubstr("no function with a name"));
}

TEST(AnswerPrinterTest, WritesACallAsOneLineOfJson) {
  v1::ToolCall call;
  call.set_id("call00001");
  call.set_name("f");
  call.set_arguments_json(R"({"b": 1, "a": "x"})");
  EXPECT_EQ(ToolCallLine(call), R"({"id":"call00001","name":"f","arguments":{"b":1,"a":"x"}})");
}

}  // namespace
}  // namespace forge::client
