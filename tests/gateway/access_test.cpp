#include "gateway/access.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "tests/support/temporary_files.h"

namespace forge::gateway {
namespace {

using Headers = std::vector<std::pair<std::string, std::string>>;

// The HTTP status of the refusal; 0: there is none.
int Check(const Access& access, Headers headers, const char* method = "POST") {
  HttpRequest request;
  request.method = method;
  request.headers = std::move(headers);
  auto error = access.CheckSender(request);
  if (!error) error = access.CheckKey(request);
  return error ? error->http_status : 0;
}

const Access& Open() {
  static const Access access({}, {});
  return access;
}

TEST(AccessTest, TakesRequestsForThisMachineOnly) {
  for (const char* host :
       {"localhost", "LocalHost:8080", "127.0.0.1", "127.0.0.1:8080", "[::1]", "[::1]:1"})
    EXPECT_EQ(Check(Open(), {{"host", host}}), 0) << host;
  for (const char* host :
       {"evil.example", "localhost.evil.example", "127.0.0.1.evil.example:8080",
        "localhost:", "localhost:80a", "localhost:123456", "0.0.0.0", "127.0.0.2", "::1", "[::1",
        "", "localhost@a", "192.168.0.2:8080", "localhost."})
    EXPECT_EQ(Check(Open(), {{"host", host}}), 403) << host;
  EXPECT_EQ(Check(Open(), {}), 403);
  EXPECT_EQ(Check(Open(), {{"host", "localhost"}, {"host", "evil.example"}}), 403);
}

TEST(AccessTest, RefusesEveryWebPageThatWasNotNamed) {
  for (const char* origin : {"https://evil.example", "http://localhost:3000", "null", ""})
    EXPECT_EQ(Check(Open(), {{"host", "localhost"}, {"origin", origin}}), 403) << origin;
  const Access access({"http://localhost:3000"}, {});
  EXPECT_EQ(Check(access, {{"host", "localhost"}, {"origin", "http://localhost:3000"}}), 0);
  for (const char* origin : {"http://localhost:3001", "https://localhost:3000", "http://localhost",
                             "http://localhost:3000.evil.example"})
    EXPECT_EQ(Check(access, {{"host", "localhost"}, {"origin", origin}}), 403) << origin;
  EXPECT_EQ(Check(access, {{"host", "localhost"},
                           {"origin", "http://localhost:3000"},
                           {"origin", "https://evil.example"}}),
            403);
}

TEST(AccessTest, NamesTheFlagThatAllowsAnOrigin) {
  HttpRequest request;
  request.headers = {{"host", "localhost"}, {"origin", "http://localhost:3000"}};
  EXPECT_NE(Open().CheckSender(request)->message.find("--allow-origin http://localhost:3000"),
            std::string::npos);
}

TEST(AccessTest, AsksForAKeyWhereThereIsAFileOfThem) {
  const Access access({}, {"first", "second"});
  const auto with = [&](const char* value) {
    return Check(access, {{"host", "localhost"}, {"authorization", value}});
  };
  EXPECT_EQ(with("Bearer first"), 0);
  EXPECT_EQ(with("bearer second"), 0);
  for (const char* value : {"Bearer third", "Bearer firs", "Bearer first ", "Bearer firstfirst",
                            "Bearer ", "Bearer", "Basic first", "first", ""})
    EXPECT_EQ(with(value), 401) << value;
  EXPECT_EQ(Check(access, {{"host", "localhost"}}), 401);
  EXPECT_EQ(Check(access, {{"host", "localhost"}, {"x-api-key", "second"}}), 0);
  for (const char* value : {"third", "Bearer first", "firs", ""})
    EXPECT_EQ(Check(access, {{"host", "localhost"}, {"x-api-key", value}}), 401) << value;
  EXPECT_EQ(Check(access, {{"host", "localhost"}}, "OPTIONS"), 0);
  EXPECT_EQ(Check(Open(), {{"host", "localhost"}, {"authorization", "Bearer any"}}), 0);
}

TEST(AccessTest, KnowsOrigins) {
  for (const char* origin : {"http://localhost:3000", "https://a.example", "app://obsidian.md",
                             "chrome-extension://abc", "http://[::1]:80"})
    EXPECT_TRUE(IsOrigin(origin)) << origin;
  for (const char* text : {"*", "null", "", "localhost:3000", "http://", "http://a/", "http://a/b",
                           "http://a b", "://a"})
    EXPECT_FALSE(IsOrigin(text)) << text;
}

TEST(ReadApiKeysTest, ReadsALineEach) {
  const testing::TempFile file("# ours\nfirst\n\n  \nsecond \r\n", ".keys");
  chmod(file.path().c_str(), 0640);
  const auto keys = ReadApiKeys(file.path());
  ASSERT_TRUE(keys.ok()) << keys.status().message();
  EXPECT_EQ(*keys, (std::vector<std::string>{"first", "second"}));
}

TEST(ReadApiKeysTest, RefusesAFileThatIsMissingEmptyOrForEverybody) {
  EXPECT_NE(ReadApiKeys("/nowhere/keys").status().message().find("No such file"),
            std::string::npos);
  const testing::TempFile empty("# none\n", ".keys");
  chmod(empty.path().c_str(), 0600);
  EXPECT_NE(ReadApiKeys(empty.path()).status().message().find("no key"), std::string::npos);
  const testing::TempFile open("key\n", ".keys");
  chmod(open.path().c_str(), 0644);
  EXPECT_NE(ReadApiKeys(open.path()).status().message().find("chmod o="), std::string::npos);
}

}  // namespace
}  // namespace forge::gateway
