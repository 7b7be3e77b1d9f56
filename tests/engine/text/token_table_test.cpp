#include "engine/text/token_table.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace forge {
namespace {

TEST(TokenTableTest, FindsWhatWasInsertedAndNothingElse) {
  constexpr int32_t kTexts = 5000;
  std::vector<std::string> texts;
  for (int32_t i = 0; i < kTexts; ++i)
    texts.push_back(std::string(static_cast<size_t>(i % 40), '\0') + std::to_string(i));
  TokenTable table(texts.size());
  for (int32_t i = 0; i < kTexts; ++i) table.Insert(texts[static_cast<size_t>(i)], i);
  for (int32_t i = 0; i < kTexts; ++i) EXPECT_EQ(table.Find(texts[static_cast<size_t>(i)]), i);
  EXPECT_EQ(table.Find(""), TokenTable::kNotFound);
  EXPECT_EQ(table.Find(std::string(1, '\0')), TokenTable::kNotFound);
  EXPECT_EQ(table.Find(std::to_string(kTexts)), TokenTable::kNotFound);
}

TEST(TokenTableTest, KeepsTheFirstOfEqualTexts) {
  TokenTable table(3);
  table.Insert("a", 4);
  table.Insert("a", 2);
  EXPECT_EQ(table.Find("a"), 4);
}

TEST(TokenTableTest, IsEmptyWithoutRoom) {
  EXPECT_EQ(TokenTable().Find("a"), TokenTable::kNotFound);
  EXPECT_EQ(TokenTable(0).Find("a"), TokenTable::kNotFound);
  EXPECT_EQ(PairTable().Find(1), nullptr);
}

TEST(PairTableTest, FindsWhatWasInsertedAndNothingElse) {
  constexpr uint64_t kPairs = 5000;
  PairTable table(kPairs);
  for (uint64_t i = 0; i < kPairs; ++i)
    table.Insert(i << 32 | 7, {static_cast<uint32_t>(i), static_cast<int32_t>(i + 1)});
  table.Insert(7, {99, 99});
  for (uint64_t i = 0; i < kPairs; ++i) {
    const PairTable::Value* const value = table.Find(i << 32 | 7);
    ASSERT_NE(value, nullptr);
    EXPECT_EQ(value->rank, i);
    EXPECT_EQ(value->id, static_cast<int32_t>(i + 1));
  }
  EXPECT_EQ(table.Find(kPairs << 32 | 7), nullptr);
  EXPECT_EQ(table.Find(0), nullptr);
}

}  // namespace
}  // namespace forge
