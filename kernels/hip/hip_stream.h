#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string_view>
#include <vector>

#include "kernels/api/stream.h"
#include "kernels/base/function_ref.h"
#include "kernels/base/result.h"
#include "kernels/hip/gpu_runtime.h"
#include "kernels/hip/graph_cache.h"
#include "kernels/hip/hip_context.h"
#include "kernels/hip/launch_group.h"
#include "kernels/hip/pinned_ring.h"

namespace forge {

// The pairs of token and expert that an expert_matmul sorted in its workspace.
struct SortedPairs {
  const int32_t* experts = nullptr;
  const void* workspace = nullptr;
  int n_pairs = 0;
  int n_experts = 0;
  int tile_tokens = 0;
  bool operator==(const SortedPairs&) const = default;
};

// A queue of work on one HIP device: kernels that ops launch, and copies, which go through pinned
// memory so that the runtime never waits in them. Owns the handle. Not thread-safe; different
// threads may use it one after another. Lifetime: the context must outlive it.
class HipStream final : public Stream {
 public:
  // The largest piece that Upload hands to `fill`.
  static constexpr size_t kUploadBytes = size_t{4} << 20;

  static Result<std::unique_ptr<HipStream>> Create(HipContext& context);
  // Waits for the work that is under way. Leaves everything to the driver if the device is lost.
  ~HipStream() override;

  hipStream_t handle() const { return handle_; }
  int wave_size() const { return context_.traits().wave_size; }
  const HipTraits& traits() const { return context_.traits(); }

  // Chooses the device for the calling thread, before a launch. kUnavailable if it is lost.
  Status PrepareLaunch();
  // As HipContext::Check.
  Status Check(hipError_t error, std::string_view what) { return context_.Check(error, what); }

  // --- Groups. Launches are held back; a few tens of them go to the device together.
  void BeginGroup() override { is_grouping_ = true; }
  Status EndGroup() override;
  bool is_grouping() const { return is_grouping_; }
  // A launch within a group. For LaunchKernel.
  template <typename... Arguments>
  Status Hold(const char* name, const void* kernel, const LaunchShape& shape,
              const Arguments&... arguments) {
    held_.Add(name, kernel, shape, arguments...);
    return held_.size() < kMostHeld ? Status() : LaunchHeld();
  }

  // As Device::CopyIn and CopyOut. `through_whole`: reads through a whole allocation, for runtimes
  // whose copies from within one are wrong.
  Status CopyIn(void* to, const void* from, uint64_t bytes);
  Status CopyOut(void* to, const void* from, uint64_t bytes, bool through_whole);
  // Copies `bytes`, at most kUploadBytes, that `fill` writes to host memory. The copies of earlier
  // calls run meanwhile.
  Status Upload(void* to, size_t bytes, FunctionRef<Status(std::byte*)> fill);

  // For HipExpertMatmul: what the last one sorted.
  const SortedPairs& sorted_pairs() const { return sorted_pairs_; }
  void set_sorted_pairs(const SortedPairs& pairs) { sorted_pairs_ = pairs; }

  // kUnavailable, and the device is lost, if anything failed or nothing has moved for the hang
  // limit.
  Status Synchronize() override;

 private:
  // Bytes on their way to the host that still have to leave pinned memory.
  struct Arrival {
    void* to;
    const std::byte* from;
    size_t bytes;
  };
  static constexpr size_t kSmallBytes = 256 << 10;  // of one ring half
  static constexpr size_t kArrivalBytes = size_t{8} << 20;
  static constexpr size_t kWholeBytes = size_t{1} << 20;  // of the allocation that is read whole
  static constexpr size_t kMostHeld = 64;                 // few enough that a hang shows
  static constexpr int kWorkPerMark = 8;  // a few, so that slow work does not pass for a hang

  explicit HipStream(HipContext& context) : context_(context), graphs_(context) {}

  // Gives what is held to the device, before anything that is to come after it.
  Status LaunchHeld();
  Status PutMark();
  // Counts a launch or copy, and now and then puts a mark behind it by which Synchronize sees the
  // work move.
  Status NoteWork();
  bool HasMoved();
  Status EnsureRing(std::unique_ptr<PinnedRing>& ring, size_t half_bytes);
  Status SendPiece(void* to, const void* from, size_t bytes, PinnedRing& ring);
  Status FetchPiece(void* to, const std::byte* from, size_t bytes, bool through_whole);

  HipContext& context_;
  hipStream_t handle_ = nullptr;
  std::unique_ptr<PinnedRing> small_;    // tables of a step
  std::unique_ptr<PinnedRing> uploads_;  // weights
  std::byte* arrivals_data_ = nullptr;   // pinned
  size_t arrivals_used_ = 0;
  std::vector<Arrival> arrivals_;
  void* whole_ = nullptr;  // device memory

  bool is_grouping_ = false;
  LaunchGroup held_;
  size_t n_groups_ = 0;  // given to the device since the last Synchronize
  GraphCache graphs_;
  SortedPairs sorted_pairs_;

  int work_since_mark_ = 0;
  std::deque<hipEvent_t> marks_;  // in the stream, oldest first
  std::vector<hipEvent_t> spare_marks_;
};

// REQUIRES: `stream` was created by a HIP device.
inline HipStream& AsHip(Stream& stream) { return static_cast<HipStream&>(stream); }

}  // namespace forge
