#include "engine/text/pair_merges.h"

#include "engine/gguf/gguf_fault.h"
#include "engine/text/vocabulary_checks.h"

namespace forge {
namespace {

uint64_t PairKey(TokenId left, TokenId right) {
  return uint64_t{static_cast<uint32_t>(left)} << 32 | static_cast<uint32_t>(right);
}

}  // namespace

Result<PairMerges> PairMerges::Read(const GgufMetadata& metadata, const Vocabulary& vocabulary,
                                    std::string (*text_of)(std::string_view token)) {
  FORGE_ASSIGN_OR_RETURN(const GgufStrings* const merges, metadata.StringArray(kMergesKey));
  if (merges == nullptr) return MissingKey(kMergesKey, "the merges of pairs of tokens, best first");
  if (merges->size() >= MergeCandidate::kNone)
    return InvalidKey(metadata, kMergesKey, "there are less than 2^32 - 1 merges",
                      std::to_string(merges->size()));
  PairMerges read;
  read.merges_ = PairTable(merges->size());
  for (size_t rank = 0; rank < merges->size(); ++rank) {
    const std::string_view merge = (*merges)[rank];
    const auto invalid = [&](std::string_view rule) {
      return InvalidKey(metadata, kMergesKey, rule,
                        QuoteText(merge) + ", merge " + std::to_string(rank));
    };
    const size_t space = merge.find(' ', 1);
    if (merge.empty() || space == std::string_view::npos || space + 1 == merge.size())
      return invalid("a merge is two tokens with a space between them");
    const std::string left = text_of(merge.substr(0, space));
    const std::string right = text_of(merge.substr(space + 1));
    const TokenId left_id = vocabulary.FindText(left);
    const TokenId right_id = vocabulary.FindText(right);
    const std::string joined = left + right;
    const TokenId result = vocabulary.FindText(joined);
    const auto is_known = [&](TokenId id, std::string_view text) {
      return id != Vocabulary::kNone || vocabulary.FindSpecial(text) != Vocabulary::kNone;
    };
    if (!is_known(left_id, left) || !is_known(right_id, right) || !is_known(result, joined))
      return invalid("both parts of a merge and its result are tokens");
    // A merge that leads to or from a control token would let plain text become that token.
    if (left_id == Vocabulary::kNone || right_id == Vocabulary::kNone ||
        result == Vocabulary::kNone)
      continue;
    read.merges_.Insert(PairKey(left_id, right_id), {static_cast<uint32_t>(rank), result});
  }
  return read;
}

MergeCandidate PairMerges::Find(TokenId left, TokenId right) const {
  const PairTable::Value* const merge = merges_.Find(PairKey(left, right));
  if (merge == nullptr) return {};
  return {merge->rank, merge->id};
}

}  // namespace forge
