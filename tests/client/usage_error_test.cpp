#include "client/commands/usage_error.h"

#include <gtest/gtest.h>

#include "client/commands/command.h"

namespace forge::client {
namespace {

// The first line of what is said about a command line.
std::string Complaint(const std::string& line) {
  CLI::App app("", "forgectl");
  app.require_subcommand(1);
  app.fallthrough();
  CommandContext context;
  app.add_option("-o,--output", context.output)->check(CLI::IsMember({"table", "json"}));
  AddCommands(app, context);
  try {
    app.parse(line);
  } catch (const CLI::ParseError& error) {
    const std::string text = ExplainUsage(app, error);
    EXPECT_NE(text.find("--help' for"), std::string::npos);
    return text.substr(0, text.find('\n'));
  }
  return "nothing";
}

TEST(UsageErrorTest, NamesTheCommandAndTheOptionThatWasMeant) {
  EXPECT_EQ(Complaint("load demo --contxt 512"),
            "forgectl load: there is no option '--contxt'; did you mean '--context'?");
  EXPECT_EQ(Complaint("load demo --contxt=512"),
            "forgectl load: there is no option '--contxt'; did you mean '--context'?");
  EXPECT_EQ(Complaint("load demo --ouput json"),
            "forgectl load: there is no option '--ouput'; did you mean '--output'?");
  EXPECT_EQ(Complaint("load demo --colour"), "forgectl load: there is no option '--colour'");
  EXPECT_EQ(Complaint("generate demo hi --temp 0"),
            "forgectl generate: there is no option '--temp'");
  EXPECT_EQ(Complaint("generate demo hi --temperatur 0"),
            "forgectl generate: there is no option '--temperatur'; did you mean '--temperature'?");
  EXPECT_EQ(Complaint("load --pinn"),
            "forgectl load: there is no option '--pinn'; did you mean '--pin'?")
      << "rather than that the model is missing";
  EXPECT_EQ(Complaint("unload a b"), "forgectl unload: there is no place for the argument 'b'");
}

TEST(UsageErrorTest, NamesTheCommandThatWasMeant) {
  EXPECT_EQ(Complaint("-o json lst"), "forgectl: there is no command 'lst'; did you mean 'list'?");
  EXPECT_EQ(Complaint("run demo"), "forgectl: there is no command 'run'; did you mean 'chat'?");
  EXPECT_EQ(Complaint("fit demo"), "forgectl: there is no command 'fit'") << "rather than 'pin'";
  EXPECT_EQ(Complaint("policy reply x"),
            "forgectl policy: there is no command 'reply'; did you mean 'replay'?");
}

TEST(UsageErrorTest, SaysWhatIsMissingAndWhatAnOptionTakes) {
  EXPECT_EQ(Complaint("load"), "forgectl load: the argument 'model' is missing");
  EXPECT_EQ(Complaint("policy"), "forgectl policy: a command is missing, one of: replay");
  EXPECT_EQ(Complaint("policy replay"), "forgectl policy replay: the argument 'file' is missing");
  EXPECT_EQ(Complaint("load demo --context"), "forgectl load: --context needs a value");
  EXPECT_EQ(Complaint("load demo --context many"),
            "forgectl load: --context takes a whole number that is not negative, not 'many'");
  EXPECT_EQ(Complaint("generate demo hi --top-p x"),
            "forgectl generate: --top-p takes a number, not 'x'");
  EXPECT_EQ(Complaint("load demo --kv-cache-type q5"),
            "forgectl load: --kv-cache-type: q5 is none of f16, f32, bf16, q8_0");
  EXPECT_EQ(Complaint("generate demo hi --raw --chat"),
            "forgectl generate: --chat and --raw exclude each other");
}

}  // namespace
}  // namespace forge::client
