#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "client/chat/conversation.h"
#include "client/chat/message_reader.h"
#include "tests/support/temporary_files.h"

namespace forge::client {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::string> Messages(const std::string& input) {
  std::istringstream stream(input);
  StreamLineReader lines(stream);
  MessageReader reader(lines);
  std::vector<std::string> messages;
  for (std::string message; reader.Read(message) == LineReader::Event::kLine;)
    messages.push_back(message);
  return messages;
}

TEST(MessageReaderTest, ALineIsAMessage) {
  EXPECT_THAT(Messages("one\ntwo\n\nfour"), ElementsAre("one", "two", "", "four"));
}

TEST(MessageReaderTest, ABackslashGoesOn) {
  EXPECT_THAT(Messages("one\\\ntwo\\\nthree\nfour\n"), ElementsAre("one\ntwo\nthree", "four"));
  EXPECT_THAT(Messages("one\\\n"), ElementsAre("one"));
}

TEST(MessageReaderTest, QuotesHoldSeveralLines) {
  EXPECT_THAT(Messages("\"\"\"\none\n  two\\\n\"\"\"\nthree\n"),
              ElementsAre("one\n  two\\", "three"));
  EXPECT_THAT(Messages("\"\"\"one\ntwo\"\"\"\n"), ElementsAre("one\ntwo"));
  EXPECT_THAT(Messages("\"\"\"one\"\"\"\ntwo\n"), ElementsAre("one", "two"));
  EXPECT_THAT(Messages("\"\"\"\nnever closed\n"), ElementsAre("never closed"));
}

TEST(ConversationTest, KeepsTheSystemMessageFirst) {
  Conversation conversation({});
  conversation.Add("user", "hello");
  conversation.SetSystem("be brief");
  ASSERT_EQ(conversation.Messages().messages_size(), 2);
  EXPECT_EQ(conversation.Messages().messages(0).role(), "system");
  conversation.Clear();
  EXPECT_EQ(conversation.Messages().messages_size(), 1);
  conversation.SetSystem("");
  EXPECT_EQ(conversation.Messages().messages_size(), 0);
}

TEST(ConversationTest, SetsOptionsByName) {
  Conversation conversation({});
  EXPECT_FALSE(conversation.Set("temperature", "0.25"));
  EXPECT_FALSE(conversation.Set("top_k", "-1"));
  EXPECT_FALSE(conversation.Set("seed", "18446744073709551615"));
  EXPECT_FALSE(conversation.Set("max_tokens", "12"));
  EXPECT_EQ(conversation.turn().sampling().temperature(), 0.25f);
  EXPECT_EQ(conversation.turn().sampling().top_k(), -1);
  EXPECT_EQ(conversation.turn().sampling().seed(), UINT64_MAX);
  EXPECT_EQ(conversation.turn().max_tokens(), 12u);
  EXPECT_THAT(conversation.Settings(), HasSubstr("temperature: 0.25"));
  EXPECT_FALSE(conversation.Set("temperature", "default"));
  EXPECT_FALSE(conversation.turn().sampling().has_temperature());
}

TEST(ConversationTest, SaysWhatIsWrongWithAnOption) {
  Conversation conversation({});
  EXPECT_THAT(conversation.Set("colour", "1").value(), HasSubstr("top_p"));
  EXPECT_THAT(conversation.Set("logit_bias", "1").value(), HasSubstr("no option"));
  EXPECT_EQ(conversation.Set("temprature", "1").value(),
            "there is no option 'temprature'; did you mean temperature?");
  EXPECT_EQ(conversation.Set("top_k", "1.5").value(),
            "top_k takes a whole number, or default, not '1.5'");
  EXPECT_EQ(conversation.Set("top_p", "x").value(), "top_p takes a number, or default, not 'x'");
  EXPECT_THAT(conversation.Set("max_tokens", "").value(), HasSubstr("whole number"));
}

TEST(ConversationTest, IsTheSameAfterSavingAndLoading) {
  const testing::TempDirectory directory;
  const std::filesystem::path path = directory.path() / "conversation.json";
  Conversation saved({});
  saved.SetSystem("be \"brief\"");
  saved.Add("user", "hello\nworld");
  saved.Add("assistant", "\xc3\xa4");
  EXPECT_FALSE(saved.Save(path.string()));
  Conversation loaded({});
  EXPECT_FALSE(loaded.Load(path.string()));
  EXPECT_EQ(loaded.Messages().SerializeAsString(), saved.Messages().SerializeAsString());
  EXPECT_EQ(loaded.size(), 2u);
  std::ofstream(path) << "{\"messages\": 7}";
  EXPECT_TRUE(loaded.Load(path.string()));
  EXPECT_EQ(loaded.size(), 2u);  // as it was
  std::ofstream(path) << "{}";
  EXPECT_THAT(loaded.Load(path.string()).value(), HasSubstr("holds no messages"));
  std::ofstream(path) << R"({"messages": [{"role": "user"}, {"content": "hi"}]})";
  EXPECT_THAT(loaded.Load(path.string()).value(), HasSubstr("message 2"));
  EXPECT_EQ(loaded.size(), 2u);
  std::filesystem::remove(path);
  EXPECT_THAT(loaded.Load(path.string()).value(),
              AllOf(HasSubstr("conversation.json"), HasSubstr("/save wrote")));
  EXPECT_TRUE(saved.Save("/nonexistent/file"));
}

}  // namespace
}  // namespace forge::client
