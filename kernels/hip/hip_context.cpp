#include "kernels/hip/hip_context.h"

#include <algorithm>
#include <thread>
#include <utility>

#include "kernels/hip/hip_status.h"

namespace forge {
namespace {

// Polling costs a core for this long, then little: a step takes milliseconds.
constexpr std::chrono::microseconds kSpinTime{100};
constexpr std::chrono::microseconds kPollTime{50};
// Whoever gave the work waits for it, sees it move or not, and notices a hang first.
constexpr int kDrainPatience = 10;

}  // namespace

Status HipContext::Select() {
  if (health_.lost()) return health_.Check();
  return Check(hipSetDevice(index_), "choosing the device");
}

Status HipContext::Check(hipError_t error, std::string_view what) {
  Status status = CheckHip(error, what);
  if (status.code() == StatusCode::kUnavailable) return health_.MarkLost(status.message());
  return status;
}

// Not hipStreamSynchronize and its kin: on a GPU that hangs they never return.
Status HipContext::Await(FunctionRef<hipError_t()> done, FunctionRef<bool()> moved,
                         std::chrono::milliseconds limit, std::string_view what) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point begin = Clock::now();
  Clock::time_point last_move = begin;
  for (;;) {
    const hipError_t error = done();
    if (error == hipSuccess) return Status();
    if (error != hipErrorNotReady) return Check(error, what);
    if (health_.lost()) return health_.Check();
    const Clock::time_point now = Clock::now();
    if (moved()) {
      last_move = now;
      ++n_moves_;
    }
    if (now - last_move > limit)
      return health_.MarkLost(std::string(what) + " made no progress for " +
                              std::to_string(limit.count()) + " ms");
    if (now - begin > kSpinTime) std::this_thread::sleep_for(kPollTime);
  }
}

void HipContext::AddStream(hipStream_t stream) {
  const MutexLock lock(mutex_);
  streams_.push_back(stream);
}

void HipContext::RemoveStream(hipStream_t stream) {
  const MutexLock lock(mutex_);
  std::erase(streams_, stream);
}

Status HipContext::Drain() {
  FORGE_TRY(Select());
  const MutexLock lock(mutex_);  // held throughout: no stream may go meanwhile
  hipEvent_t event = nullptr;
  FORGE_TRY(Check(hipEventCreateWithFlags(&event, hipEventDisableTiming), "hipEventCreate"));
  Status status;
  uint64_t n_moves = n_moves_;
  const auto moved = [&] { return std::exchange(n_moves, n_moves_) != n_moves; };
  for (const hipStream_t stream : streams_) {
    status = Check(hipEventRecord(event, stream), "hipEventRecord");
    if (status.ok())
      status = Await([&] { return hipEventQuery(event); }, moved, kDrainPatience * hang_limit_,
                     "work that was to end before memory is freed");
    if (!status.ok()) break;
  }
  if (!health_.lost()) static_cast<void>(hipEventDestroy(event));
  return status;
}

}  // namespace forge
