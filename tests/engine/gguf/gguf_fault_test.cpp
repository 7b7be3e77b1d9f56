#include "engine/gguf/gguf_fault.h"

#include <gtest/gtest.h>

#include <string>

namespace forge {
namespace {

TEST(EscapeTextTest, LeavesPrintableAsciiAlone) {
  EXPECT_EQ(EscapeText("blk.0.attn_q.weight ~"), "blk.0.attn_q.weight ~");
}

TEST(EscapeTextTest, WritesOtherBytesInHex) {
  EXPECT_EQ(EscapeText(std::string_view("a\0\n\x1b\x7f\xc3\\", 7)),
            "a\\x00\\x0a\\x1b\\x7f\\xc3\\x5c");
}

TEST(EscapeTextTest, CutsLongTexts) {
  EXPECT_EQ(EscapeText(std::string(80, 'a')), std::string(80, 'a'));
  EXPECT_EQ(EscapeText(std::string(81, 'a')), std::string(80, 'a') + "...");
}

TEST(SanitizeTextTest, KeepsUtf8) {
  const std::string text = "Qwen2.5 \xc3\xa9 \xe4\xb8\xad \xf0\x9f\x98\x80 \xf4\x8f\xbf\xbf";
  EXPECT_EQ(SanitizeText(text), text);
}

TEST(SanitizeTextTest, ReplacesBytesThatAreNotUtf8) {
  const std::string r = "\xef\xbf\xbd";
  EXPECT_EQ(SanitizeText("caf\xe9"), "caf" + r);
  EXPECT_EQ(SanitizeText("\xc3"), r) << "ends within a character";
  EXPECT_EQ(SanitizeText("\xc0\x80"), r + r) << "overlong";
  EXPECT_EQ(SanitizeText("\xe0\x80\x80"), r + r + r) << "overlong";
  EXPECT_EQ(SanitizeText("\xed\xa0\x80"), r + r + r) << "surrogate";
  EXPECT_EQ(SanitizeText("\xf0\x80\x80\x80"), r + r + r + r) << "overlong";
  EXPECT_EQ(SanitizeText("\xf4\x90\x80\x80"), r + r + r + r) << "above U+10FFFF";
  EXPECT_EQ(SanitizeText("\xff"), r);
}

TEST(SanitizeTextTest, BlanksControlCharacters) {
  EXPECT_EQ(SanitizeText(std::string_view("a\0b\nc\x7f", 6)), "a b c ");
}

TEST(SanitizeTextTest, CutsBetweenCharacters) {
  EXPECT_EQ(SanitizeText("ab\xc3\xa9", 3), "ab");
  EXPECT_EQ(SanitizeText("ab\xc3\xa9", 4), "ab\xc3\xa9");
  EXPECT_EQ(SanitizeText("abc", 0), "");
}

TEST(GgufFaultTest, CarriesCodeReasonAndDetails) {
  const GgufField field = {"llama.block_count", "0", 123};
  const Status invalid = InvalidField("must be 1", field);
  EXPECT_EQ(invalid.ToString(), "INVALID_ARGUMENT: must be 1: llama.block_count = 0 at byte 123");
  EXPECT_EQ(invalid.reason(), "MODEL_FILE_INVALID");
  EXPECT_EQ(
      invalid.details(),
      (Status::Details{{"field", "llama.block_count"}, {"value", "0"}, {"offsetBytes", "123"}}));
  EXPECT_EQ(TruncatedField("x", field).code(), StatusCode::kDataLoss);
  EXPECT_EQ(TruncatedField("x", field).reason(), "MODEL_FILE_TRUNCATED");
  EXPECT_EQ(UnsupportedField("x", field).code(), StatusCode::kUnimplemented);
  EXPECT_EQ(UnsupportedField("x", field).reason(), "ARCHITECTURE_UNSUPPORTED");
  EXPECT_EQ(MissingField("the key is required", "a.b").ToString(),
            "INVALID_ARGUMENT: the key is required: a.b is absent");
}

}  // namespace
}  // namespace forge
