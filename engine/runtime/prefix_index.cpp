#include "engine/runtime/prefix_index.h"

#include <algorithm>
#include <new>
#include <utility>

namespace forge {

bool PrefixIndex::Less::operator()(const KeyView& a, const KeyView& b) const {
  if (a.parent != b.parent) return a.parent < b.parent;
  return std::ranges::lexicographical_compare(a.tokens, b.tokens);
}

PrefixId PrefixIndex::Find(PrefixId parent, std::span<const TokenId> tokens) const {
  const auto found = ids_.find(KeyView(parent, tokens));
  return found != ids_.end() ? found->second : 0;
}

PrefixId PrefixIndex::FindOrAdd(PrefixId parent, std::span<const TokenId> tokens) {
  if (const PrefixId known = Find(parent, tokens); known != 0) return known;
  const PrefixId id = ++last_id_;
  const auto place = ids_.emplace(Key{parent, {tokens.begin(), tokens.end()}}, id).first;
  try {
    prefixes_.emplace(id, Prefix{place, std::vector<int32_t>(n_groups_, kNoBlock)});
  } catch (const std::bad_alloc&) {
    ids_.erase(place);
    throw;
  }
  return id;
}

int32_t PrefixIndex::block(PrefixId prefix, size_t group) const {
  const auto found = prefixes_.find(prefix);
  return found != prefixes_.end() ? found->second.blocks[group] : kNoBlock;
}

void PrefixIndex::SetBlock(PrefixId prefix, size_t group, int32_t block) {
  prefixes_.at(prefix).blocks[group] = block;
}

void PrefixIndex::ForgetIfEmpty(PrefixId prefix) {
  const auto found = prefixes_.find(prefix);
  if (found == prefixes_.end()) return;
  const std::vector<int32_t>& blocks = found->second.blocks;
  if (std::ranges::any_of(blocks, [](int32_t block) { return block != kNoBlock; })) return;
  ids_.erase(found->second.place);
  prefixes_.erase(found);
}

}  // namespace forge
