#include "gateway/options.h"

#include <gtest/gtest.h>

namespace forge::gateway {
namespace {

Result<Options> Parse(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "forge-gateway");
  return ParseOptions(static_cast<int>(arguments.size()), arguments.data(), "unix:///default");
}

std::string Refusal(std::vector<const char*> arguments) {
  const Result<Options> options = Parse(std::move(arguments));
  return options.ok() ? "none" : std::string(options.status().message());
}

TEST(OptionsTest, HasDefaults) {
  const Result<Options> options = Parse({});
  ASSERT_TRUE(options.ok());
  EXPECT_EQ(options->listen.ToString(), "127.0.0.1:8080");
  EXPECT_EQ(options->daemon_address, "unix:///default");
  EXPECT_EQ(options->max_connections, 64u);
  EXPECT_TRUE(options->origins.empty());
}

TEST(OptionsTest, ListensOnLoopbackOnly) {
  EXPECT_EQ(Parse({"--listen", "localhost:1"})->listen.ToString(), "127.0.0.1:1");
  EXPECT_EQ(Parse({"--listen", "[::1]:2"})->listen.ToString(), "[::1]:2");
  EXPECT_EQ(Parse({"--listen", "127.0.0.1:0"})->listen.port, 0);
  for (const char* address :
       {"0.0.0.0:8080", "[::]:8080", "192.168.0.2:8080", ":8080", "example.org:8080", "::1:8080"})
    EXPECT_NE(Refusal({"--listen", address}).find("not on loopback"), std::string::npos) << address;
  for (const char* address : {"127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:x", ""})
    EXPECT_NE(Refusal({"--listen", address}).find("has no port"), std::string::npos) << address;
}

TEST(OptionsTest, RefusesWhatIsNoAddressOfADaemon) {
  EXPECT_NE(Refusal({"--forge", "http://localhost:1"}).find("--forge"), std::string::npos);
  EXPECT_NE(Refusal({"--forge", "/run/forge/forge.sock"}).find("--forge"), std::string::npos);
}

TEST(OptionsTest, AllowsOriginsByNameOnly) {
  EXPECT_EQ(Parse({"--allow-origin", "http://a:1", "--allow-origin", "http://b:2"})->origins.size(),
            2u);
  EXPECT_NE(Refusal({"--allow-origin", "*"}).find("every web page"), std::string::npos);
}

TEST(OptionsTest, NamesWhatIsWrongWithTheLine) {
  EXPECT_NE(Refusal({"--max-connections", "0"}).find("--max-connections"), std::string::npos);
  EXPECT_NE(Refusal({"--no-such"}).find("--no-such"), std::string::npos);
  EXPECT_NE(Refusal({"--api-key-file", "/nowhere"}).find("--api-key-file"), std::string::npos);
}

TEST(OptionsTest, PrintsHelpAndVersion) {
  EXPECT_NE(Parse({"--help"})->text.find("--allow-origin"), std::string::npos);
  EXPECT_EQ(Parse({"--version"})->text.find("forge-gateway "), 0u);
}

}  // namespace
}  // namespace forge::gateway
