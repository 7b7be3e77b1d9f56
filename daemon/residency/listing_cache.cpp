#include "daemon/residency/listing_cache.h"

#include <algorithm>

namespace forge {

ListingCache::Id ListingCache::Keep(ListingPtr listing) {
  ListingPtr oldest;  // freed without the lock
  const MutexLock lock(mutex_);
  kept_.emplace_back(++last_id_, std::move(listing));
  if (kept_.size() > kMostKept) {
    oldest = std::move(kept_.front().second);
    kept_.pop_front();
  }
  return last_id_;
}

ListingCache::ListingPtr ListingCache::Find(Id id) const {
  const MutexLock lock(mutex_);
  const auto found = std::ranges::find(kept_, id, &std::pair<Id, ListingPtr>::first);
  return found != kept_.end() ? found->second : nullptr;
}

void ListingCache::Drop(Id id) {
  ListingPtr dropped;
  const MutexLock lock(mutex_);
  const auto found = std::ranges::find(kept_, id, &std::pair<Id, ListingPtr>::first);
  if (found == kept_.end()) return;
  dropped = std::move(found->second);
  kept_.erase(found);
}

}  // namespace forge
