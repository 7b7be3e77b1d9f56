#pragma once

#include <map>
#include <string>
#include <tuple>

#include "daemon/residency/catalogue.h"
#include "engine/runtime/engine.h"
#include "kernels/base/mutex.h"
#include "kernels/base/result.h"

namespace forge {

// Remembers what Engine::Inspect said of a file for as long as its path, size and modification time
// are the same. Failures are not remembered. Thread-safe.
class InspectCache {
 public:
  // Lifetime: `engine` must outlive the cache.
  explicit InspectCache(Engine& engine) : engine_(engine) {}

  // Blocks on the disk unless the answer is known.
  Result<ModelFileInfo> Inspect(const ModelFile& file, const std::string& device,
                                const LoadOptions& options);

 private:
  // Answers kept; a full cache starts over, which costs a header read per model asked for.
  static constexpr size_t kMaxEntries = 512;
  using Key = std::tuple<std::string, uint64_t, int64_t, std::string, uint32_t, uint32_t, uint32_t,
                         KvDType>;

  Engine& engine_;
  Mutex mutex_;
  std::map<Key, ModelFileInfo> entries_ FORGE_GUARDED_BY(mutex_);
};

}  // namespace forge
