#pragma once

#include <atomic>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "kernels/base/check.h"
#include "tests/engine/memory/memory_only_device.h"

namespace forge::testing {

// A device that models can be loaded onto, but not run: its packed matrix is the file's rows,
// padded to whole groups of kGroupRows.
//
// As strict as the contract allows: a copy reads its source only when the stream is synchronised,
// and freeing memory while copies are under way aborts.
class RowDevice : public MemoryOnlyDevice {
 public:
  static constexpr int64_t kGroupRows = 4;

  explicit RowDevice(uint64_t total_bytes = uint64_t{1} << 30) : MemoryOnlyDevice(total_bytes) {}

  // Called before each PackRows, by any thread; an error fails it.
  void OnPackRows(std::function<Status()> hook) { pack_hook_ = std::move(hook); }
  uint64_t pack_calls() const { return pack_calls_; }
  // The bytes of all buffers that PackRows was ever given rows in.
  uint64_t staging_bytes() const {
    MutexLock lock(staging_mutex_);
    uint64_t bytes = 0;
    for (const auto& [start, size] : staging_) bytes += size;
    return bytes;
  }

  Result<std::unique_ptr<Stream>> CreateStream() override {
    return std::unique_ptr<Stream>(std::make_unique<DeferringStream>(copies_under_way_));
  }
  void Free(void* data, uint64_t bytes) override {
    FORGE_CHECK(copies_under_way_ == 0, "memory is freed while copies are under way");
    MemoryOnlyDevice::Free(data, bytes);
  }
  Status CopyIn(void* destination, const void* source, uint64_t bytes, Stream& stream) override {
    return static_cast<DeferringStream&>(stream).Add(destination, source, bytes);
  }

  Result<uint64_t> PackedWeightBytes(const WeightShape& shape) const override {
    FORGE_TRY(Validate(shape));
    const int64_t n_rows = (shape.n_rows + kGroupRows - 1) / kGroupRows * kGroupRows;
    return (static_cast<uint64_t>(n_rows) * RowBytes(shape) + 63) / 64 * 64;
  }
  int64_t pack_row_multiple() const override { return kGroupRows; }
  Status PackRows(const WeightShape& shape, int64_t first_row, int64_t n_rows,
                  const std::byte* file_rows, void* packed, Stream&) override {
    ++pack_calls_;
    FORGE_CHECK(first_row % kGroupRows == 0 && n_rows > 0, "rows come in whole groups");
    FORGE_CHECK(n_rows % kGroupRows == 0 || first_row + n_rows == shape.n_rows,
                "only the last group may be cut");
    if (pack_hook_) FORGE_TRY(pack_hook_());
    const uint64_t bytes = static_cast<uint64_t>(n_rows) * RowBytes(shape);
    std::memcpy(
        static_cast<std::byte*>(packed) + static_cast<uint64_t>(first_row) * RowBytes(shape),
        file_rows, bytes);
    MutexLock lock(staging_mutex_);
    uint64_t& known = staging_[file_rows];
    known = std::max(known, bytes);
    return Status();
  }
  uint64_t MatmulWorkspaceBytes(int max_tokens, int64_t max_cols) const override {
    return static_cast<uint64_t>(max_tokens) * static_cast<uint64_t>(max_cols);
  }
  uint64_t AttentionWorkspaceBytes(int max_tokens, int n_heads, int value_dim) const override {
    return static_cast<uint64_t>(max_tokens) * static_cast<uint64_t>(n_heads * value_dim);
  }
  uint64_t ExpertMatmulWorkspaceBytes(int max_pairs, int64_t max_cols,
                                      int max_experts) const override {
    return static_cast<uint64_t>(max_pairs) * static_cast<uint64_t>(max_cols) +
           static_cast<uint64_t>(max_experts);
  }

  static uint64_t RowBytes(const WeightShape& shape) {
    const FormatInfo& format = *FindFormat(shape.dtype);
    return static_cast<uint64_t>(shape.n_cols) / format.block_elements * format.block_bytes;
  }

 private:
  class DeferringStream : public Stream {
   public:
    explicit DeferringStream(std::atomic<int>& under_way) : under_way_(under_way) {}
    ~DeferringStream() override { FORGE_CHECK(copies_.empty(), "a stream ends with copies in it"); }

    Status Add(void* destination, const void* source, uint64_t bytes) {
      copies_.push_back({destination, source, bytes});
      ++under_way_;
      return Status();
    }
    Status Synchronize() override {
      for (const Copy& copy : copies_) std::memcpy(copy.destination, copy.source, copy.bytes);
      under_way_ -= static_cast<int>(copies_.size());
      copies_.clear();
      return Status();
    }

   private:
    struct Copy {
      void* destination;
      const void* source;
      uint64_t bytes;
    };
    std::vector<Copy> copies_;
    std::atomic<int>& under_way_;
  };

  std::function<Status()> pack_hook_;
  std::atomic<uint64_t> pack_calls_ = 0;
  std::atomic<int> copies_under_way_ = 0;
  mutable Mutex staging_mutex_;
  std::map<const void*, uint64_t> staging_ FORGE_GUARDED_BY(staging_mutex_);
};

}  // namespace forge::testing
