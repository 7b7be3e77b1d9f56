#include "gateway/json_fields.h"

#include <gtest/gtest.h>

#include <chrono>

namespace forge::gateway {
namespace {

std::string MessageOf(const std::string& body) {
  return std::string(ParseBody(body).status().message());
}

TEST(ParseBodyTest, KeepsTheOrderOfNames) {
  const std::string body = R"({"z":1,"a":{"y":2,"b":3}})";
  const Result<Json> json = ParseBody(body);
  ASSERT_TRUE(json.ok());
  EXPECT_EQ(Dump(*json), body);
}

TEST(ParseBodyTest, RefusesWhatIsNoObjectAndSaysWhere) {
  EXPECT_NE(MessageOf("").find("empty"), std::string::npos);
  EXPECT_NE(MessageOf("[1]").find("array"), std::string::npos);
  EXPECT_NE(MessageOf("{\"a\": 1,\n oops}").find("line 2"), std::string::npos);
  EXPECT_NE(MessageOf("{\"a\": \"\xff\"}").find("UTF-8"), std::string::npos);
  EXPECT_FALSE(ParseBody("{} {}").ok());
  EXPECT_FALSE(ParseBody("{\"a\": 1e999}").ok());
}

TEST(ParseBodyTest, RefusesShapesThatCostTooMuch) {
  const std::string deep(1 << 20, '[');
  EXPECT_NE(MessageOf("{\"a\": " + deep).find("100 levels"), std::string::npos);
  std::string wide = "{";
  for (int i = 0; i < 1025; ++i) wide += (i == 0 ? "\"" : ",\"") + std::to_string(i) + "\":0";
  EXPECT_NE(MessageOf(wide + "}").find("1024 names"), std::string::npos);
  std::string many = "{\"a\": [";
  for (int i = 0; i < 100'000; ++i) many += i == 0 ? "[]" : ",{}";
  EXPECT_NE(MessageOf(many + "]}").find("100000 objects and arrays"), std::string::npos);
  const std::string fits = std::string(99, '[') + std::string(99, ']');
  EXPECT_TRUE(ParseBody("{\"a\": " + fits + "}").ok());
}

TEST(ParseBodyTest, TakesManyObjectsInNoTime) {
  std::string body = "{\"a\": [{}";
  for (int i = 0; i < 90'000; ++i) body += ",{}";
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_TRUE(ParseBody(body + "]}").ok());
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(1));
}

TEST(FieldsTest, TakesNullForUnset) {
  const Json json = {{"a", nullptr}};
  const Fields fields{json, ""};
  EXPECT_EQ(*fields.Bool("a"), std::nullopt);
  EXPECT_EQ(*fields.Integer("a"), std::nullopt);
  EXPECT_EQ(*fields.Number("b"), std::nullopt);
  EXPECT_EQ(*fields.Text("b"), std::nullopt);
  EXPECT_EQ(*fields.Object("a"), nullptr);
}

TEST(FieldsTest, TakesWholeNumbersHoweverTheyAreWritten) {
  const Result<Json> json = ParseBody(
      R"({"a": 256, "b": 256.0, "c": 256.5, "d": "256", "e": 1e30, "f": 18446744073709551615})");
  const Fields fields{*json, ""};
  EXPECT_EQ(*fields.Integer("a"), 256);
  EXPECT_EQ(*fields.Integer("b"), 256);
  for (const char* name : {"c", "d", "e", "f"}) {
    const auto refused = fields.Integer(name);
    ASSERT_FALSE(refused.ok()) << name;
    EXPECT_EQ(refused.status().details()[0].second, name);
  }
}

TEST(FieldsTest, NamesTheFieldOfTheWrongType) {
  const Result<Json> json = ParseBody(R"({"a": [1], "b": 1e39})");
  const Fields fields{*json, "x."};
  EXPECT_EQ(fields.Bool("a").status().message(), "x.a must be true or false");
  EXPECT_EQ(fields.Number("a").status().message(), "x.a must be a number");
  EXPECT_EQ(fields.Text("a").status().message(), "x.a must be a string");
  EXPECT_EQ(fields.Object("a").status().message(), "x.a must be an object");
  EXPECT_EQ(fields.Array("b").status().message(), "x.b must be an array");
  EXPECT_FALSE(fields.Number("b").ok());
}

}  // namespace
}  // namespace forge::gateway
