#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <utility>

#include "daemon/residency/catalogue.h"
#include "kernels/base/mutex.h"

namespace forge {

// Keeps the listings that clients page through: one walk of the disk serves all pages of a listing,
// and all of them show the same files.
//
// Holds the last few; whoever takes longer for his pages than others take for theirs walks again.
// Thread-safe.
class ListingCache {
 public:
  using Id = uint64_t;
  using ListingPtr = std::shared_ptr<const Catalogue::Listing>;

  // Its pages are asked for by this number, which is never 0.
  Id Keep(ListingPtr listing);
  // Null if it is not kept any more.
  ListingPtr Find(Id id) const;
  // Its last page was given.
  void Drop(Id id);

  // Of at most Catalogue::kMaxModels models, some 3 MB each.
  static constexpr size_t kMostKept = 4;

 private:
  mutable Mutex mutex_;
  Id last_id_ FORGE_GUARDED_BY(mutex_) = 0;
  std::deque<std::pair<Id, ListingPtr>> kept_ FORGE_GUARDED_BY(mutex_);  // the latest last
};

}  // namespace forge
