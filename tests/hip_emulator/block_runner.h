#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/hip_emulator/fault.h"
#include "tests/hip_emulator/fiber.h"
#include "tests/hip_emulator/hip_runtime.h"
#include "tests/hip_emulator/shared_memory.h"

namespace forge::emulator {

// A launch, and what its device is like.
struct Kernel {
  std::string name;
  dim3 grid;
  dim3 block;
  size_t shared_bytes = 0;  // dynamic
  std::function<void()> thread;
  int wave_size = 32;
  size_t shared_limit_bytes = 0;
  std::function<std::string(const void*)> describe_address;  // in device memory; "" if it is not
};

// Runs blocks of kernels, one at a time, each thread of a block as a fibre: wave by wave, lane by
// lane, and every lane as far as it gets until it must wait for others. A thread that never waits
// costs no switch. Blocks with an odd index, and every other grid of one block, run their waves in
// descending order, so that a missing barrier shows whichever way the data flows.
//
// Not thread-safe: each worker has its own.
class BlockRunner {
 public:
  BlockRunner();
  ~BlockRunner();
  BlockRunner(const BlockRunner&) = delete;
  BlockRunner& operator=(const BlockRunner&) = delete;

  // Runs one block to its end, or to its first fault; then its other threads are left where they
  // are, for good.
  std::optional<Fault> Run(const Kernel& kernel, Index block);

  // The runner whose block runs on this thread; null outside of kernels.
  static BlockRunner* Current();

  // --- For the threads of the block
  void WaitForBlock(int line);
  void WaitForWave(int line);
  uint64_t Ballot(bool predicate, int line);
  uint64_t Shuffle(uint64_t bits, ShuffleKind kind, int operand, int width, int line);
  void* SharedArray(const char* site, const char* name, size_t bytes);
  void* DynamicShared() { return shared_.dynamic(); }

  // --- For the signal handler
  // Notes a fault of the running thread. Safe in a signal handler.
  void RecordSignal(int signal, const void* address);
  // Where the stack of the running thread begins.
  std::byte* RunningStackTop() const;
  // Leaves the running thread for good. Does not return.
  void Abandon();

 private:
  enum class State : uint8_t {
    kNew,
    kRunning,
    kBlockBarrier,
    kWaveBarrier,
    kBallot,
    kShuffle,
    kDone
  };
  struct Slot {
    Fiber fiber;
    BlockRunner* runner = nullptr;
    bool idle = true;
  };
  struct Thread {
    Index index;
    State state = State::kNew;
    Slot* slot = nullptr;
    int line = 0;  // of the source, where it waits
    ShuffleKind kind = ShuffleKind::kXor;
    int operand = 0;
    int width = 0;
    uint64_t bits = 0;  // in: what the lane gives; out: what it gets
  };

  static void SlotMain(void* slot);
  void StartThreads(Slot& slot);
  void Resume(Slot& slot);
  Slot& TakeIdleSlot();
  void DropSlots();
  void PlaceThreads(dim3 block);

  void RunWave(int wave);
  void ResumeWave(int wave);
  Thread* TakeNextToResume();
  bool AllWait(int wave, State state) const;
  void CompleteWaveOp(int wave);
  void CompleteBallot(int first);
  void CompleteShuffle(int first);
  bool ReleaseBlockBarrier();
  // Suspends the running thread in `state` until others have come there.
  Thread& Wait(State state, int line);

  // Record the block's first fault.
  void Fail(hipError_t error, const std::string& what);
  void FailDiverged(int first_thread, int end_thread);
  std::string DescribeWait(int thread) const;
  std::string DescribeSignal() const;
  std::string Where(int thread) const;

  std::vector<std::unique_ptr<Slot>> slots_;
  std::vector<Slot*> idle_;
  std::vector<Thread> threads_;
  dim3 placed_;
  SharedMemory shared_;

  // Of the block that runs.
  const Kernel* kernel_ = nullptr;
  Index block_ = {};
  int n_waves_ = 0;
  int next_thread_ = 0;   // to start
  int end_thread_ = 0;    // of the wave that starts
  int next_resumed_ = 0;  // the thread to go on after the running one
  int end_resumed_ = 0;   // of the wave that goes on
  int running_ = -1;      // the thread that runs right now
  Slot* running_slot_ = nullptr;
  unsigned n_single_ = 0;  // grids of one block so far
  std::optional<Fault> fault_;
  int signal_ = 0;
  const void* signal_address_ = nullptr;
};

}  // namespace forge::emulator
