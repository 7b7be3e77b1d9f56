#include "kernels/hip/hip_stream.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "kernels/base/check.h"

namespace forge {

Result<std::unique_ptr<HipStream>> HipStream::Create(HipContext& context) {
  std::unique_ptr<HipStream> stream(new HipStream(context));
  FORGE_TRY(context.Select());
  FORGE_TRY(context.Check(hipStreamCreateWithFlags(&stream->handle_, hipStreamNonBlocking),
                          "hipStreamCreate"));
  context.AddStream(stream->handle_);
  return Result<std::unique_ptr<HipStream>>(std::move(stream));
}

HipStream::~HipStream() {
  if (handle_ == nullptr) return;
  static_cast<void>(Synchronize());
  context_.RemoveStream(handle_);
  if (!context_.Select().ok()) return;
  for (const hipEvent_t mark : spare_marks_) static_cast<void>(hipEventDestroy(mark));
  if (arrivals_data_ != nullptr && context_.Drain().ok())
    static_cast<void>(hipHostFree(arrivals_data_));
  if (whole_ != nullptr && context_.Drain().ok()) static_cast<void>(hipFree(whole_));
  static_cast<void>(hipStreamDestroy(handle_));
}

// --- Progress

Status HipStream::PrepareLaunch() {
  FORGE_TRY(context_.Select());
  // A call that failed earlier, or a query that was not ready, must not pass for this launch.
  static_cast<void>(hipGetLastError());
  return NoteWork();
}

Status HipStream::EndGroup() {
  is_grouping_ = false;
  return LaunchHeld();
}

Status HipStream::LaunchHeld() {
  if (held_.empty()) return Status();
  Status status = context_.Select();
  if (status.ok()) {
    static_cast<void>(hipGetLastError());  // as in PrepareLaunch
    status = graphs_.Launch(held_, n_groups_++, handle_);
  }
  held_.Clear();
  FORGE_TRY(status);
  return PutMark();
}

Status HipStream::NoteWork() { return ++work_since_mark_ < kWorkPerMark ? Status() : PutMark(); }

Status HipStream::PutMark() {
  work_since_mark_ = 0;
  if (spare_marks_.empty()) {
    hipEvent_t mark = nullptr;
    FORGE_TRY(
        context_.Check(hipEventCreateWithFlags(&mark, hipEventDisableTiming), "hipEventCreate"));
    spare_marks_.push_back(mark);
  }
  FORGE_TRY(context_.Check(hipEventRecord(spare_marks_.back(), handle_), "hipEventRecord"));
  marks_.push_back(spare_marks_.back());
  spare_marks_.pop_back();
  return Status();
}

bool HipStream::HasMoved() {
  bool moved = false;
  while (!marks_.empty() && hipEventQuery(marks_.front()) == hipSuccess) {
    spare_marks_.push_back(marks_.front());
    marks_.pop_front();
    moved = true;
  }
  return moved;
}

Status HipStream::Synchronize() {
  // Where this fails, what was to receive the copies may be gone before the next call.
  const std::vector<Arrival> arrivals = std::exchange(arrivals_, {});
  FORGE_TRY(context_.Select());
  FORGE_TRY(LaunchHeld());
  FORGE_TRY(context_.Await([this] { return hipStreamQuery(handle_); },
                           [this] { return HasMoved(); }, context_.hang_limit(),
                           "work on the device"));
  spare_marks_.insert(spare_marks_.end(), marks_.begin(), marks_.end());
  marks_.clear();
  for (const Arrival& arrival : arrivals) std::memcpy(arrival.to, arrival.from, arrival.bytes);
  arrivals_used_ = 0;
  n_groups_ = 0;
  if (small_ != nullptr) small_->Clear();
  if (uploads_ != nullptr) uploads_->Clear();
  return Status();
}

// --- To the device

Status HipStream::EnsureRing(std::unique_ptr<PinnedRing>& ring, size_t half_bytes) {
  if (ring != nullptr) return Status();
  FORGE_ASSIGN_OR_RETURN(ring, PinnedRing::Create(context_, half_bytes));
  return Status();
}

Status HipStream::CopyIn(void* to, const void* from, uint64_t bytes) {
  FORGE_TRY(LaunchHeld());
  FORGE_TRY(context_.Select());
  const bool is_small = bytes <= kSmallBytes;
  std::unique_ptr<PinnedRing>& ring = is_small ? small_ : uploads_;
  FORGE_TRY(EnsureRing(ring, is_small ? kSmallBytes : kUploadBytes));
  for (uint64_t done = 0; done < bytes; done += ring->half_bytes()) {
    const size_t piece = std::min<uint64_t>(ring->half_bytes(), bytes - done);
    FORGE_TRY(SendPiece(static_cast<std::byte*>(to) + done,
                        static_cast<const std::byte*>(from) + done, piece, *ring));
  }
  return Status();
}

Status HipStream::SendPiece(void* to, const void* from, size_t bytes, PinnedRing& ring) {
  FORGE_ASSIGN_OR_RETURN(std::byte* const staged,
                         ring.Take(bytes, handle_, [this] { return HasMoved(); }));
  std::memcpy(staged, from, bytes);
  FORGE_TRY(context_.Check(hipMemcpyAsync(to, staged, bytes, hipMemcpyHostToDevice, handle_),
                           "a copy of " + std::to_string(bytes) + " bytes to the device"));
  return NoteWork();
}

Status HipStream::Upload(void* to, size_t bytes, FunctionRef<Status(std::byte*)> fill) {
  FORGE_TRY(LaunchHeld());
  FORGE_TRY(context_.Select());
  FORGE_TRY(EnsureRing(uploads_, kUploadBytes));
  FORGE_ASSIGN_OR_RETURN(std::byte* const staged,
                         uploads_->Take(bytes, handle_, [this] { return HasMoved(); }));
  FORGE_TRY(fill(staged));
  FORGE_TRY(context_.Check(hipMemcpyAsync(to, staged, bytes, hipMemcpyHostToDevice, handle_),
                           "a copy of " + std::to_string(bytes) + " bytes to the device"));
  return NoteWork();
}

// --- To the host

Status HipStream::CopyOut(void* to, const void* from, uint64_t bytes, bool through_whole) {
  FORGE_TRY(LaunchHeld());
  FORGE_TRY(context_.Select());
  if (arrivals_data_ == nullptr) {
    void* data = nullptr;
    FORGE_TRY(context_.Check(
        hipHostMalloc(&data, kArrivalBytes, hipHostMallocDefault),
        "allocating " + std::to_string(kArrivalBytes) + " bytes of pinned host memory"));
    arrivals_data_ = static_cast<std::byte*>(data);
  }
  const size_t largest = through_whole ? kWholeBytes : kArrivalBytes;
  for (uint64_t done = 0; done < bytes; done += largest)
    FORGE_TRY(FetchPiece(static_cast<std::byte*>(to) + done,
                         static_cast<const std::byte*>(from) + done,
                         std::min<uint64_t>(largest, bytes - done), through_whole));
  return Status();
}

Status HipStream::FetchPiece(void* to, const std::byte* from, size_t bytes, bool through_whole) {
  const size_t n_read = through_whole ? kWholeBytes : bytes;
  if (arrivals_used_ + n_read > kArrivalBytes) FORGE_TRY(Synchronize());
  std::byte* const staged = arrivals_data_ + arrivals_used_;
  const void* source = from;
  if (through_whole) {
    if (whole_ == nullptr)
      FORGE_TRY(context_.Check(hipMalloc(&whole_, kWholeBytes), "allocating a copy's way station"));
    FORGE_TRY(context_.Check(hipMemcpyAsync(whole_, from, bytes, hipMemcpyDeviceToDevice, handle_),
                             "a copy of " + std::to_string(bytes) + " bytes within the device"));
    source = whole_;
  }
  FORGE_TRY(context_.Check(hipMemcpyAsync(staged, source, n_read, hipMemcpyDeviceToHost, handle_),
                           "a copy of " + std::to_string(n_read) + " bytes to the host"));
  arrivals_.push_back({to, staged, bytes});
  arrivals_used_ += (n_read + 63) / 64 * 64;
  return NoteWork();
}

}  // namespace forge
