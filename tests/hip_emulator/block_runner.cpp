#include "tests/hip_emulator/block_runner.h"

#include <csignal>
#include <numeric>

#include "kernels/base/check.h"
#include "tests/hip_emulator/fault_guard.h"

thread_local constinit forge::emulator::Index threadIdx = {};
thread_local constinit forge::emulator::Index blockIdx = {};
thread_local constinit dim3 blockDim;
thread_local constinit dim3 gridDim;

namespace forge::emulator {
namespace {

thread_local constinit BlockRunner* current = nullptr;

std::string Text(Index index) {
  return "(" + std::to_string(index.x) + ", " + std::to_string(index.y) + ", " +
         std::to_string(index.z) + ")";
}

}  // namespace

BlockRunner::BlockRunner() { FaultGuard::PrepareThread(); }

BlockRunner::~BlockRunner() = default;

BlockRunner* BlockRunner::Current() { return current; }

// --- Fibres

void BlockRunner::SlotMain(void* argument) {
  Slot& slot = *static_cast<Slot*>(argument);
  for (;;) {
    slot.runner->StartThreads(slot);
    slot.idle = true;
    slot.fiber.Suspend();
  }
}

// One after another, as long as they return without having waited; those that wait keep the fibre.
void BlockRunner::StartThreads(Slot& slot) {
  while (next_thread_ < end_thread_) {
    running_ = next_thread_++;
    Thread& thread = threads_[static_cast<size_t>(running_)];
    thread.slot = &slot;
    thread.state = State::kRunning;
    threadIdx = thread.index;
    kernel_->thread();
    // Not running_: other threads have run since, if this one waited.
    thread.state = State::kDone;
  }
}

void BlockRunner::Resume(Slot& slot) {
  running_slot_ = &slot;
  slot.fiber.Resume();
  // Not `slot`: threads that wait switch to others.
  if (signal_ != 0) Fail(hipErrorIllegalAddress, DescribeSignal());
  if (running_slot_->idle) idle_.push_back(running_slot_);
}

BlockRunner::Slot& BlockRunner::TakeIdleSlot() {
  if (idle_.empty()) {
    slots_.push_back(std::make_unique<Slot>());
    Slot& slot = *slots_.back();
    slot.runner = this;
    slot.fiber.Reset(&SlotMain, &slot);
    idle_.push_back(&slot);
  }
  Slot& slot = *idle_.back();
  idle_.pop_back();
  slot.idle = false;
  return slot;
}

void BlockRunner::DropSlots() {
  for (const std::unique_ptr<Slot>& slot : slots_) {
    if (slot->idle) continue;
    slot->fiber.Reset(&SlotMain, slot.get());
    slot->idle = true;
    idle_.push_back(slot.get());
  }
}

// --- A block

void BlockRunner::PlaceThreads(dim3 block) {
  const size_t n_threads = size_t{block.x} * block.y * block.z;
  if (threads_.size() != n_threads || placed_.x != block.x || placed_.y != block.y) {
    threads_.assign(n_threads, {});
    placed_ = block;
    size_t i = 0;
    for (unsigned z = 0; z < block.z; ++z)
      for (unsigned y = 0; y < block.y; ++y)
        for (unsigned x = 0; x < block.x; ++x) threads_[i++].index = {x, y, z};
  }
  for (Thread& thread : threads_) thread.state = State::kNew;
}

std::optional<Fault> BlockRunner::Run(const Kernel& kernel, Index block) {
  kernel_ = &kernel;
  block_ = block;
  fault_.reset();
  current = this;
  blockIdx = block;
  blockDim = kernel.block;
  gridDim = kernel.grid;
  PlaceThreads(kernel.block);
  shared_.BeginBlock(kernel.shared_bytes, kernel.shared_limit_bytes);
  next_resumed_ = end_resumed_ = 0;
  n_waves_ = static_cast<int>(threads_.size()) / kernel.wave_size;
  const bool is_single = kernel.grid.x == 1 && kernel.grid.y == 1 && kernel.grid.z == 1;
  const bool descending = (is_single ? n_single_++ : block.x + block.y + block.z) % 2 == 1;
  do {
    for (int i = 0; i < n_waves_ && !fault_; ++i) RunWave(descending ? n_waves_ - 1 - i : i);
  } while (!fault_ && ReleaseBlockBarrier());
  if (fault_) DropSlots();
  current = nullptr;
  return std::move(fault_);
}

// Runs a wave until all its lanes have returned or wait for the block.
void BlockRunner::RunWave(int wave) {
  const int first = wave * kernel_->wave_size;
  if (threads_[static_cast<size_t>(first)].state == State::kNew) {
    next_thread_ = first;
    end_thread_ = first + kernel_->wave_size;
    while (next_thread_ < end_thread_ && !fault_) Resume(TakeIdleSlot());
  } else {
    ResumeWave(wave);
  }
  while (!fault_) {
    const State state = threads_[static_cast<size_t>(first)].state;
    if (!AllWait(wave, state)) {
      FailDiverged(first, first + kernel_->wave_size);
    } else if (state == State::kDone || state == State::kBlockBarrier) {
      return;
    } else {
      CompleteWaveOp(wave);
      if (!fault_) ResumeWave(wave);
    }
  }
}

void BlockRunner::ResumeWave(int wave) {
  next_resumed_ = wave * kernel_->wave_size;
  end_resumed_ = next_resumed_ + kernel_->wave_size;
  while (!fault_) {
    Thread* const thread = TakeNextToResume();
    if (thread == nullptr) break;
    Resume(*thread->slot);
  }
}

// Marks the next thread of the wave that goes on as the one that runs; null if there is none.
BlockRunner::Thread* BlockRunner::TakeNextToResume() {
  while (next_resumed_ < end_resumed_) {
    const int next = next_resumed_++;
    Thread& thread = threads_[static_cast<size_t>(next)];
    if (thread.state == State::kDone) continue;
    thread.state = State::kRunning;
    running_ = next;
    return &thread;
  }
  return nullptr;
}

// Whether all lanes of a wave are in `state`, and, if they wait, at the same line.
bool BlockRunner::AllWait(int wave, State state) const {
  const size_t first = static_cast<size_t>(wave) * static_cast<size_t>(kernel_->wave_size);
  for (size_t i = first; i < first + static_cast<size_t>(kernel_->wave_size); ++i) {
    if (threads_[i].state != state) return false;
    if (state != State::kDone && threads_[i].line != threads_[first].line) return false;
  }
  return true;
}

void BlockRunner::CompleteWaveOp(int wave) {
  const int first = wave * kernel_->wave_size;
  const State state = threads_[static_cast<size_t>(first)].state;
  if (state == State::kBallot) CompleteBallot(first);
  if (state == State::kShuffle) CompleteShuffle(first);
}

void BlockRunner::CompleteBallot(int first) {
  uint64_t votes = 0;
  Thread* const lanes = &threads_[static_cast<size_t>(first)];
  for (int i = 0; i < kernel_->wave_size; ++i) votes |= lanes[i].bits << i;
  for (int i = 0; i < kernel_->wave_size; ++i) lanes[i].bits = votes;
}

void BlockRunner::CompleteShuffle(int first) {
  Thread* const lanes = &threads_[static_cast<size_t>(first)];
  uint64_t given[64];
  for (int i = 0; i < kernel_->wave_size; ++i) given[i] = lanes[i].bits;
  for (int i = 0; i < kernel_->wave_size; ++i) {
    const int width = lanes[i].width;
    if (width < 1 || width > kernel_->wave_size || (width & (width - 1)) != 0 ||
        width != lanes[0].width)
      return Fail(hipErrorLaunchFailure,
                  Where(first + i) + " shuffles in groups of " + std::to_string(width) +
                      " lanes on a device whose waves have " + std::to_string(kernel_->wave_size));
    const int base = i & ~(width - 1);
    int source = i;
    if (lanes[i].kind == ShuffleKind::kXor) source = i ^ lanes[i].operand;
    if (lanes[i].kind == ShuffleKind::kDown) source = i + lanes[i].operand;
    if (lanes[i].kind == ShuffleKind::kIndex) source = base + (lanes[i].operand & (width - 1));
    // A lane that would read outside of its group reads itself.
    if (source < base || source >= base + width) source = i;
    lanes[i].bits = given[source];
  }
}

// Whether there is more to run: false once all threads have returned, or after a fault.
bool BlockRunner::ReleaseBlockBarrier() {
  const Thread& first = threads_.front();
  for (const Thread& thread : threads_) {
    if (thread.state != first.state || (first.state != State::kDone && thread.line != first.line)) {
      FailDiverged(0, static_cast<int>(threads_.size()));
      return false;
    }
  }
  return first.state != State::kDone;
}

// --- What threads call

BlockRunner::Thread& BlockRunner::Wait(State state, int line) {
  const int self = running_;
  Thread& thread = threads_[static_cast<size_t>(self)];
  thread.state = state;
  thread.line = line;
  // Straight to the next thread: half the switches, and the processor predicts the returns of a
  // thread that stands where this one stands.
  Thread* const next = TakeNextToResume();
  if (next != nullptr) {
    running_slot_ = next->slot;
    thread.slot->fiber.SwitchTo(next->slot->fiber);
  } else {
    thread.slot->fiber.Suspend();
  }
  running_ = self;
  threadIdx = thread.index;
  return thread;
}

void BlockRunner::WaitForBlock(int line) { Wait(State::kBlockBarrier, line); }

void BlockRunner::WaitForWave(int line) { Wait(State::kWaveBarrier, line); }

uint64_t BlockRunner::Ballot(bool predicate, int line) {
  threads_[static_cast<size_t>(running_)].bits = predicate ? 1 : 0;
  return Wait(State::kBallot, line).bits;
}

uint64_t BlockRunner::Shuffle(uint64_t bits, ShuffleKind kind, int operand, int width, int line) {
  Thread& thread = threads_[static_cast<size_t>(running_)];
  thread.bits = bits;
  thread.kind = kind;
  thread.operand = operand;
  thread.width = width;
  return Wait(State::kShuffle, line).bits;
}

void* BlockRunner::SharedArray(const char* site, const char* name, size_t bytes) {
  void* const array = shared_.Array(site, name, bytes);
  if (array == nullptr) {
    Fail(hipErrorLaunchFailure, Where(running_) + " uses " + std::to_string(shared_.used_bytes()) +
                                    " bytes of shared memory with array " + name +
                                    "; a block may have " +
                                    std::to_string(kernel_->shared_limit_bytes));
    Abandon();
  }
  return array;
}

// --- Faults

void BlockRunner::RecordSignal(int signal, const void* address) {
  signal_ = signal;
  signal_address_ = address;
}

std::byte* BlockRunner::RunningStackTop() const { return running_slot_->fiber.stack().top(); }

void BlockRunner::Abandon() {
  running_slot_->fiber.Suspend();
  FORGE_CHECK(false, "a thread of a kernel was resumed after its fault");
}

void BlockRunner::Fail(hipError_t error, const std::string& what) {
  signal_ = 0;
  if (!fault_) fault_ = Fault{.error = error, .message = what};
}

std::string BlockRunner::Where(int thread) const {
  return "kernel " + kernel_->name + ", block " + Text(block_) + ", thread " +
         Text(threads_[static_cast<size_t>(thread)].index);
}

std::string BlockRunner::DescribeSignal() const {
  const std::string where = Where(running_);
  if (signal_ == SIGFPE) return where + " divides an integer by zero";
  if (running_slot_->fiber.stack().Guards(signal_address_)) return where + " overflows its stack";
  std::string place = shared_.Describe(signal_address_);
  if (place.empty()) place = kernel_->describe_address(signal_address_);
  if (place.empty())
    place = "address " + std::to_string(reinterpret_cast<uintptr_t>(signal_address_)) +
            ", which is no memory of the device";
  return where + " accesses " + place;
}

std::string BlockRunner::DescribeWait(int thread) const {
  const Thread& at = threads_[static_cast<size_t>(thread)];
  const std::string line = " of line " + std::to_string(at.line);
  const std::string name = "thread " + Text(at.index);
  switch (at.state) {
    case State::kDone:
      return name + " has returned";
    case State::kBlockBarrier:
      return name + " waits at the __syncthreads" + line;
    case State::kWaveBarrier:
      return name + " waits at the SyncWave" + line;
    case State::kBallot:
      return name + " waits at the ballot" + line;
    case State::kShuffle:
      return name + " waits at the shuffle" + line;
    case State::kNew:
    case State::kRunning:
      break;
  }
  return name + " runs";
}

void BlockRunner::FailDiverged(int first_thread, int end_thread) {
  const Thread& first = threads_[static_cast<size_t>(first_thread)];
  int other = first_thread;
  while (other + 1 < end_thread && threads_[static_cast<size_t>(other)].state == first.state &&
         threads_[static_cast<size_t>(other)].line == first.line)
    ++other;
  Fail(hipErrorLaunchFailure, "kernel " + kernel_->name + ", block " + Text(block_) +
                                  ": threads diverge: " + DescribeWait(first_thread) + ", " +
                                  DescribeWait(other));
}

}  // namespace forge::emulator
