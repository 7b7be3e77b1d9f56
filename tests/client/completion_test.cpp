#include "client/commands/completion.h"

#include <gmock/gmock.h>

#include "client/commands/command.h"

namespace forge::client {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;

// The texts that the last word may become. The daemon at "there" has other models than any other.
std::vector<std::string> Texts(std::vector<std::string> words) {
  CLI::App app("", "forgectl");
  CommandContext context;
  app.add_option("--address", context.address);
  app.add_option("-o,--output", context.output)->check(CLI::IsMember({"table", "json"}));
  AddCommands(app, context);
  const auto models = [](const std::string& address, bool resident_only) {
    if (address == "there") return std::vector<std::string>{"theirs"};
    return resident_only ? std::vector<std::string>{"demo"}
                         : std::vector<std::string>{"demo", "dir/a b", "other"};
  };
  std::vector<std::string> texts;
  for (const Candidate& candidate : Complete(app, std::move(words), models))
    texts.push_back(candidate.text);
  return texts;
}

TEST(CompletionTest, OffersCommandsOptionsAndTheValuesOfOptions) {
  EXPECT_THAT(Texts({"lo"}), ElementsAre("load"));
  EXPECT_THAT(Texts({}), Contains("doctor"));
  EXPECT_THAT(Texts({"-o", "json", "policy", ""}), ElementsAre("replay"));
  EXPECT_THAT(Texts({"load", "--p"}),
              ElementsAre("--parallel", "--prefill-chunk", "--pin", "--priority"));
  EXPECT_THAT(Texts({"load", "demo", "--o"}), ElementsAre("--output")) << "a global one";
  EXPECT_THAT(Texts({"doctor", "--"}), Not(Contains("--system-root"))) << "which is hidden";
  EXPECT_THAT(Texts({"load", "--kv-cache-type", "f"}), ElementsAre("f16", "f32"));
  EXPECT_THAT(Texts({"-o", ""}), ElementsAre("table", "json"));
}

TEST(CompletionTest, OffersValuesBehindAnEqualsSignAsEachShellSplitsIt) {
  EXPECT_THAT(Texts({"load", "--kv-cache-type=q"}), ElementsAre("--kv-cache-type=q8_0"));
  EXPECT_THAT(Texts({"load", "--kv-cache-type", "=", "q"}), ElementsAre("q8_0")) << "bash";
  EXPECT_THAT(Texts({"load", "--kv-cache-type", "="}), ElementsAre("f16", "f32", "bf16", "q8_0"));
}

TEST(CompletionTest, OffersModelsWhereOneIsNamed) {
  EXPECT_THAT(Texts({"load", "d"}), ElementsAre("demo", "dir/a b"));
  EXPECT_THAT(Texts({"load", "--context", "512", "--pin", "o"}), ElementsAre("other"));
  EXPECT_THAT(Texts({"unload", ""}), ElementsAre("demo")) << "only what is in memory";
  EXPECT_THAT(Texts({"stop", ""}), ElementsAre("demo")) << "an alias";
  EXPECT_THAT(Texts({"--address", "there", "load", ""}), ElementsAre("theirs"));
  EXPECT_THAT(Texts({"--address=there", "load", ""}), ElementsAre("theirs"));
  EXPECT_THAT(Texts({"load", "--address", "=", "there", ""}), ElementsAre("theirs")) << "bash";
}

TEST(CompletionTest, LeavesFilesAndTextsToTheShell) {
  EXPECT_THAT(Texts({"generate", "demo", "lo"}), IsEmpty());
  EXPECT_THAT(Texts({"generate", "demo", "--grammar", ""}), IsEmpty());
  EXPECT_THAT(Texts({"policy", "replay", ""}), IsEmpty());
  EXPECT_THAT(Texts({"load", "demo", ""}), IsEmpty()) << "it takes one";
  EXPECT_THAT(Texts({"load", "--nonsense=", ""}), ElementsAre("demo", "dir/a b", "other"));
  EXPECT_THAT(Texts({"nonsense", ""}), IsEmpty());
}

}  // namespace
}  // namespace forge::client
