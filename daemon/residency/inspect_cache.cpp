#include "daemon/residency/inspect_cache.h"

namespace forge {

Result<ModelFileInfo> InspectCache::Inspect(const ModelFile& file, const std::string& device,
                                            const LoadOptions& options) {
  const Key key(file.path, file.size_bytes, file.modify_time.time_since_epoch().count(), device,
                options.context_length, options.max_sequences, options.prefill_chunk,
                options.kv_dtype);
  {
    const MutexLock lock(mutex_);
    const auto found = entries_.find(key);
    if (found != entries_.end()) return found->second;
  }
  FORGE_ASSIGN_OR_RETURN(ModelFileInfo info, engine_.Inspect(file.path, device, options));
  const MutexLock lock(mutex_);
  if (entries_.size() >= kMaxEntries) entries_.clear();
  entries_.insert_or_assign(key, info);
  return info;
}

}  // namespace forge
