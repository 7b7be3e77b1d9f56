#include "engine/text/merge.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace forge {
namespace {

using Merges = std::map<std::pair<int32_t, int32_t>, MergeCandidate>;

// The definition: joins the leftmost pair of best rank until there is none.
std::vector<int32_t> MergeByDefinition(std::vector<int32_t> ids, const Merges& merges) {
  for (;;) {
    size_t best = ids.size();
    uint32_t best_rank = MergeCandidate::kNone;
    for (size_t i = 0; i + 1 < ids.size(); ++i) {
      const auto found = merges.find({ids[i], ids[i + 1]});
      if (found == merges.end() || found->second.rank >= best_rank) continue;
      best = i;
      best_rank = found->second.rank;
    }
    if (best == ids.size()) return ids;
    ids[best] = merges.at({ids[best], ids[best + 1]}).id;
    ids.erase(ids.begin() + static_cast<ptrdiff_t>(best) + 1);
  }
}

std::vector<int32_t> IdsOf(const std::vector<Symbol>& symbols) {
  std::vector<int32_t> ids;
  for (const Symbol& symbol : symbols) ids.push_back(symbol.id);
  return ids;
}

TEST(MergeTest, BothAlgorithmsFollowTheDefinition) {
  constexpr uint32_t kSeed = 11;
  SCOPED_TRACE(kSeed);
  std::mt19937 engine(kSeed);
  const auto random = [&engine] { return static_cast<uint32_t>(engine()); };
  for (int round = 0; round < 2000; ++round) {
    Merges merges;
    const uint32_t n_letters = 2 + random() % 3;
    int32_t next_id = static_cast<int32_t>(n_letters);
    for (int i = 0; i < 12; ++i) {
      const auto any = [&] {
        return static_cast<int32_t>(random() % static_cast<uint32_t>(next_id));
      };
      const std::pair<int32_t, int32_t> pair = {any(), any()};
      // Ranks repeat, as scores may in SentencePiece: the leftmost pair goes first.
      if (merges.emplace(pair, MergeCandidate{random() % 6, next_id}).second) ++next_id;
    }
    std::vector<int32_t> ids;
    std::vector<Symbol> few;
    const uint32_t n_symbols = random() % 40;
    for (uint32_t i = 0; i < n_symbols; ++i) {
      ids.push_back(static_cast<int32_t>(random() % n_letters));
      few.push_back({i, 1, ids.back()});
    }
    std::vector<Symbol> many = few;
    const auto candidate_of = [&](const Symbol& left, const Symbol& right) {
      const auto found = merges.find({left.id, right.id});
      return found == merges.end() ? MergeCandidate() : found->second;
    };
    std::vector<MergeCandidate> scratch;
    internal::MergeFew(few, scratch, candidate_of);
    internal::MergeMany(many, candidate_of);
    const std::vector<int32_t> expected = MergeByDefinition(ids, merges);
    ASSERT_EQ(IdsOf(few), expected) << round;
    ASSERT_EQ(IdsOf(many), expected) << round;
    for (const std::vector<Symbol>* symbols : {&few, &many}) {
      uint32_t position = 0;
      for (const Symbol& symbol : *symbols) {
        ASSERT_EQ(symbol.begin, position);
        position = symbol.end();
      }
      ASSERT_EQ(position, n_symbols);
    }
  }
}

}  // namespace
}  // namespace forge
