// Launches, and what the threads of kernels call.

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "kernels/base/check.h"
#include "tests/hip_emulator/block_runner.h"
#include "tests/hip_emulator/grid_runner.h"
#include "tests/hip_emulator/machine.h"
#include "tests/hip_emulator/stream_queue.h"

namespace forge::emulator {
namespace {

// What keeps a launch from being accepted; an empty text if nothing does.
std::string WrongShape(const Kernel& kernel) {
  const uint64_t n_threads = uint64_t{kernel.block.x} * kernel.block.y * kernel.block.z;
  const auto size = [](dim3 d) {
    return std::to_string(d.x) + " x " + std::to_string(d.y) + " x " + std::to_string(d.z);
  };
  if (kernel.grid.x == 0 || kernel.grid.y == 0 || kernel.grid.z == 0 || n_threads == 0)
    return "an empty grid or block";
  if (n_threads > 1024) return "a block of " + size(kernel.block) + " threads; at most 1024";
  if (n_threads % static_cast<uint64_t>(kernel.wave_size) != 0)
    return "a block of " + size(kernel.block) + " threads, which is no whole number of waves of " +
           std::to_string(kernel.wave_size);
  if (kernel.grid.x > 0x7fffffffu || kernel.grid.y > 65535 || kernel.grid.z > 65535)
    return "a grid of " + size(kernel.grid) + " blocks; at most 2147483647 x 65535 x 65535";
  const auto exceeds = [](uint64_t blocks, uint64_t threads) {
    return blocks * threads >> 32 != 0;
  };
  if (exceeds(kernel.grid.x, kernel.block.x) || exceeds(kernel.grid.y, kernel.block.y) ||
      exceeds(kernel.grid.z, kernel.block.z))
    return "a grid of " + size(kernel.grid) + " blocks of " + size(kernel.block) +
           " threads; less than 2^32 threads along each";
  if (kernel.shared_bytes > kernel.shared_limit_bytes)
    return std::to_string(kernel.shared_bytes) + " bytes of shared memory; at most " +
           std::to_string(kernel.shared_limit_bytes);
  return "";
}

void WaitForever(Gpu& gpu) {
  Machine& machine = Machine::Get();
  Machine::Lock lock = machine.Acquire();
  while (gpu.error == hipSuccess) machine.changed().wait(lock);
}

// Runs on the stream's thread.
void RunKernel(Gpu& gpu, const Kernel& kernel, hipError_t planned) {
  std::optional<Fault> fault;
  if (planned == hipSuccess) fault = RunGrid(kernel);
  if (planned != hipSuccess) fault = Fault{planned, "kernel " + kernel.name + " was set to fail"};
  if (!fault) return;
  Machine& machine = Machine::Get();
  const Machine::Lock lock = machine.Acquire();
  machine.AddFault(lock, fault->message);
  machine.Break(lock, gpu, fault->error);
}

}  // namespace

void Launch(const char* name, dim3 grid, dim3 block, size_t shared_bytes, hipStream_t stream,
            std::function<void()> thread) {
  Machine& machine = Machine::Get();
  if (const hipError_t error = machine.BeginDeviceCall("launch")) {
    Remember(error);
    return;
  }
  const Machine::Lock lock = machine.Acquire();
  Gpu& gpu = stream->gpu();
  const auto kernel = std::make_shared<const Kernel>(Kernel{
      .name = name,
      .grid = grid,
      .block = block,
      .shared_bytes = shared_bytes,
      .thread = std::move(thread),
      .wave_size = gpu.settings.wave_size,
      .shared_limit_bytes = gpu.settings.shared_bytes,
      .describe_address = [](const void* at) { return Machine::Get().DescribeAddress(at); }});
  std::string wrong = WrongShape(*kernel);
  if (gpu.index != CurrentDevice())
    wrong = "a stream of device " + std::to_string(gpu.index) + ", the thread having chosen " +
            std::to_string(CurrentDevice());
  if (!wrong.empty()) {
    machine.AddFault(lock, "launch of kernel " + kernel->name + " with " + wrong);
    Remember(hipErrorInvalidConfiguration);
    return;
  }
  const uint64_t number = gpu.launches++;
  machine.CountCall(lock, kernel->name);
  hipError_t planned = hipSuccess;
  machine.TakeFailure(lock, kernel->name, &planned);
  if (gpu.lost_at_launch == number) planned = hipErrorUnknown;
  if (gpu.hang_at_launch == number)
    stream->Enqueue(lock, [&gpu] { WaitForever(gpu); });
  else
    stream->Enqueue(lock, [&gpu, kernel, planned] { RunKernel(gpu, *kernel, planned); });
}

namespace {

BlockRunner& Runner() {
  BlockRunner* const runner = BlockRunner::Current();
  FORGE_CHECK(runner != nullptr, "device code was called outside of a kernel");
  return *runner;
}

}  // namespace

void BlockBarrier(int line) { Runner().WaitForBlock(line); }
void WaveBarrier(int line) { Runner().WaitForWave(line); }
uint64_t WaveVote(bool predicate, int line) { return Runner().Ballot(predicate, line); }
uint64_t ShuffleBits(uint64_t bits, ShuffleKind kind, int operand, int width, int line) {
  return Runner().Shuffle(bits, kind, operand, width, line);
}
void* SharedArray(const char* site, const char* name, size_t bytes) {
  return Runner().SharedArray(site, name, bytes);
}
void* DynamicShared() { return Runner().DynamicShared(); }

}  // namespace forge::emulator

// A kernel may have the dynamic shared memory that its launch asks for; there is nothing to set.
hipError_t hipFuncSetAttribute(const void*, hipFuncAttribute, int) { return hipSuccess; }
