#include "kernels/hip/pinned_ring.h"

#include <string>
#include <utility>

#include "kernels/base/check.h"

namespace forge {
namespace {

constexpr size_t kAlignment = 64;

}  // namespace

Result<std::unique_ptr<PinnedRing>> PinnedRing::Create(HipContext& context, size_t half_bytes) {
  std::unique_ptr<PinnedRing> ring(new PinnedRing(context, half_bytes));
  FORGE_TRY(context.Select());
  void* data = nullptr;
  FORGE_TRY(context.Check(
      hipHostMalloc(&data, 2 * half_bytes, hipHostMallocDefault),
      "allocating " + std::to_string(2 * half_bytes) + " bytes of pinned host memory"));
  ring->data_ = static_cast<std::byte*>(data);
  for (hipEvent_t& event : ring->left_)
    FORGE_TRY(
        context.Check(hipEventCreateWithFlags(&event, hipEventDisableTiming), "hipEventCreate"));
  return Result<std::unique_ptr<PinnedRing>>(std::move(ring));
}

PinnedRing::~PinnedRing() {
  if (!context_.Select().ok()) return;
  for (const hipEvent_t event : left_)
    if (event != nullptr) static_cast<void>(hipEventDestroy(event));
  // As hipFree, hipHostFree waits for the whole device.
  if (data_ != nullptr && context_.Drain().ok()) static_cast<void>(hipHostFree(data_));
}

Result<std::byte*> PinnedRing::Take(size_t bytes, hipStream_t stream, FunctionRef<bool()> moved) {
  FORGE_CHECK(bytes <= half_bytes_, "more than half of a pinned ring");
  if (used_ + bytes > half_bytes_) {
    FORGE_TRY(context_.Check(hipEventRecord(left_[half_], stream), "hipEventRecord"));
    pending_[half_] = true;
    half_ = 1 - half_;
    used_ = 0;
    if (pending_[half_]) {
      FORGE_TRY(context_.Await([this] { return hipEventQuery(left_[half_]); }, moved,
                               context_.hang_limit(), "a copy to the device"));
      pending_[half_] = false;
    }
  }
  std::byte* const taken = data_ + static_cast<size_t>(half_) * half_bytes_ + used_;
  used_ += (bytes + kAlignment - 1) / kAlignment * kAlignment;
  return taken;
}

void PinnedRing::Clear() {
  pending_[0] = pending_[1] = false;
  used_ = 0;
}

}  // namespace forge
