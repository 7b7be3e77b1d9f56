#pragma once

#include <atomic>
#include <memory>
#include <utility>

#include "kernels/api/device.h"

namespace forge::testing {

// Passes everything on to another device until the test takes it away; from then on its ops fail as
// those of a lost device do. One at a time, because ops are plain functions. Thread-safe.
class FailingDevice final : public Device {
 public:
  explicit FailingDevice(std::unique_ptr<Device> device)
      : device_(std::move(device)), ops_(device_->ops()) {
    lost_ = false;
    real_embed_ = std::exchange(ops_.embed, &Embed);
  }

  void LoseDevice() { lost_ = true; }

  const DeviceInfo& info() const override { return device_->info(); }
  const OpTable& ops() const override { return ops_; }
  Result<std::unique_ptr<Stream>> CreateStream() override { return device_->CreateStream(); }
  Result<MemoryReading> ReadMemory() const override { return device_->ReadMemory(); }
  Result<void*> Allocate(uint64_t bytes) override { return device_->Allocate(bytes); }
  void Free(void* data, uint64_t bytes) override { device_->Free(data, bytes); }
  AllocationCount allocation_count() const override { return device_->allocation_count(); }
  Status CopyIn(void* destination, const void* source, uint64_t bytes, Stream& stream) override {
    return device_->CopyIn(destination, source, bytes, stream);
  }
  Status CopyOut(void* destination, const void* source, uint64_t bytes, Stream& stream) override {
    return device_->CopyOut(destination, source, bytes, stream);
  }
  Result<uint64_t> PackedWeightBytes(const WeightShape& shape) const override {
    return device_->PackedWeightBytes(shape);
  }
  int64_t pack_row_multiple() const override { return device_->pack_row_multiple(); }
  Status PackRows(const WeightShape& shape, int64_t first_row, int64_t n_rows,
                  const std::byte* file_rows, void* packed, Stream& stream) override {
    return device_->PackRows(shape, first_row, n_rows, file_rows, packed, stream);
  }
  uint64_t MatmulWorkspaceBytes(int max_tokens, int64_t max_cols) const override {
    return device_->MatmulWorkspaceBytes(max_tokens, max_cols);
  }
  uint64_t AttentionWorkspaceBytes(int max_tokens, int n_heads, int value_dim) const override {
    return device_->AttentionWorkspaceBytes(max_tokens, n_heads, value_dim);
  }
  uint64_t ExpertMatmulWorkspaceBytes(int max_pairs, int64_t max_cols,
                                      int max_experts) const override {
    return device_->ExpertMatmulWorkspaceBytes(max_pairs, max_cols, max_experts);
  }

 private:
  static Status Embed(const EmbedArgs& args, Stream& stream) {
    if (lost_) return Unavailable("the device was lost").WithReason("DEVICE_LOST");
    return real_embed_(args, stream);
  }

  static inline std::atomic<bool> lost_ = false;
  static inline Status (*real_embed_)(const EmbedArgs&, Stream&) = nullptr;

  std::unique_ptr<Device> device_;
  OpTable ops_;
};

}  // namespace forge::testing
