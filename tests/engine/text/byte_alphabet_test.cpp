#include "engine/text/byte_alphabet.h"

#include <gtest/gtest.h>

#include "tests/engine/text/vocabulary_builder.h"

namespace forge {
namespace {

TEST(ByteAlphabetTest, NamesKnownBytes) {
  EXPECT_EQ(BytesOfByteLevelToken("\u0120the"), " the");  // Ġ
  EXPECT_EQ(BytesOfByteLevelToken("\u010a"), "\n");       // Ċ
  EXPECT_EQ(BytesOfByteLevelToken("\u0100"), std::string(1, '\0'));
  EXPECT_EQ(BytesOfByteLevelToken("\u0143"), "\xad");  // the last of the 68
  EXPECT_EQ(BytesOfByteLevelToken("\u00c3\u00a9"), "\u00e9");
}

TEST(ByteAlphabetTest, HasOneCharacterForEveryByte) {
  for (int byte = 0; byte < 256; ++byte) {
    const std::string character = testing::ByteLevelCharacter(static_cast<uint8_t>(byte));
    EXPECT_EQ(BytesOfByteLevelToken(character), std::string(1, static_cast<char>(byte)));
  }
}

TEST(ByteAlphabetTest, KeepsWhatIsOutsideTheAlphabet) {
  EXPECT_EQ(BytesOfByteLevelToken("a b"), "a b");
  EXPECT_EQ(BytesOfByteLevelToken("\u0144\u4e2d"), "\u0144\u4e2d");
  EXPECT_EQ(BytesOfByteLevelToken("a\xff"), "a\xff");
  EXPECT_EQ(BytesOfByteLevelToken(""), "");
}

}  // namespace
}  // namespace forge
