#pragma once

// HIP's names on the host: the part of the HIP runtime that Forge uses, and the language of
// kernels. kernels/hip/gpu_runtime.h includes it in an emulated build; README.md of this folder
// says what is emulated how, and control.h is how tests steer it.

#include <atomic>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

// --- Runtime

// The values are HIP's.
enum hipError_t {
  hipSuccess = 0,
  hipErrorInvalidValue = 1,
  hipErrorOutOfMemory = 2,
  hipErrorNotInitialized = 3,
  hipErrorInvalidConfiguration = 9,
  hipErrorInsufficientDriver = 35,
  hipErrorInvalidDeviceFunction = 98,
  hipErrorNoDevice = 100,
  hipErrorInvalidDevice = 101,
  hipErrorNoBinaryForGpu = 209,
  hipErrorInvalidHandle = 400,
  hipErrorIllegalState = 401,
  hipErrorNotReady = 600,
  hipErrorIllegalAddress = 700,
  hipErrorLaunchOutOfResources = 701,
  hipErrorLaunchFailure = 719,
  hipErrorNotSupported = 801,
  hipErrorUnknown = 999,
};

enum hipMemcpyKind {
  hipMemcpyHostToDevice = 1,
  hipMemcpyDeviceToHost = 2,
  hipMemcpyDeviceToDevice = 3,
};

enum hipFuncAttribute { hipFuncAttributeMaxDynamicSharedMemorySize = 8 };

inline constexpr unsigned hipStreamNonBlocking = 1;
inline constexpr unsigned hipEventDefault = 0;
inline constexpr unsigned hipEventDisableTiming = 2;
inline constexpr unsigned hipHostMallocDefault = 0;

struct hipDeviceProp_t {
  char name[256];
  char gcnArchName[256];
  size_t totalGlobalMem;
  size_t sharedMemPerBlock;
  int warpSize;
  int maxThreadsPerBlock;
  int maxGridSize[3];
  int multiProcessorCount;
  int major;
  int minor;
  int pciDomainID;
  int pciBusID;
  int pciDeviceID;
  int integrated;
};

struct ihipStream_t;
struct ihipEvent_t;
using hipStream_t = ihipStream_t*;
using hipEvent_t = ihipEvent_t*;

// Graphs of kernels; dependencies must make a chain.
struct ihipGraph_t;
struct ihipGraphExec_t;
struct ihipGraphNode_t;
using hipGraph_t = ihipGraph_t*;
using hipGraphExec_t = ihipGraphExec_t*;
using hipGraphNode_t = ihipGraphNode_t*;
struct hipKernelNodeParams;

const char* hipGetErrorName(hipError_t error);
const char* hipGetErrorString(hipError_t error);
hipError_t hipGetLastError();
hipError_t hipPeekAtLastError();
hipError_t hipRuntimeGetVersion(int* version);
hipError_t hipDriverGetVersion(int* version);
hipError_t hipGetDeviceCount(int* count);
hipError_t hipSetDevice(int device);
hipError_t hipGetDevice(int* device);
hipError_t hipGetDeviceProperties(hipDeviceProp_t* properties, int device);
hipError_t hipDeviceGetPCIBusId(char* id, int length, int device);
hipError_t hipDeviceSynchronize();

hipError_t hipMemGetInfo(size_t* free, size_t* total);
hipError_t hipMalloc(void** data, size_t bytes);
hipError_t hipFree(void* data);
hipError_t hipHostMalloc(void** data, size_t bytes, unsigned flags);
hipError_t hipHostFree(void* data);
hipError_t hipMemcpyAsync(void* to, const void* from, size_t bytes, hipMemcpyKind kind,
                          hipStream_t stream);
hipError_t hipMemsetAsync(void* data, int value, size_t bytes, hipStream_t stream);

hipError_t hipStreamCreateWithFlags(hipStream_t* stream, unsigned flags);
hipError_t hipStreamDestroy(hipStream_t stream);
hipError_t hipStreamSynchronize(hipStream_t stream);
hipError_t hipStreamQuery(hipStream_t stream);
hipError_t hipStreamWaitEvent(hipStream_t stream, hipEvent_t event, unsigned flags);
hipError_t hipEventCreateWithFlags(hipEvent_t* event, unsigned flags);
hipError_t hipEventDestroy(hipEvent_t event);
hipError_t hipEventRecord(hipEvent_t event, hipStream_t stream);
hipError_t hipEventQuery(hipEvent_t event);
hipError_t hipEventSynchronize(hipEvent_t event);
hipError_t hipEventElapsedTime(float* milliseconds, hipEvent_t start, hipEvent_t stop);
hipError_t hipFuncSetAttribute(const void* kernel, hipFuncAttribute attribute, int value);

// --- The language of kernels

#define __global__
#define __device__
#define __host__
#define __constant__
#define __forceinline__ inline
#define __launch_bounds__(...)

struct dim3 {
  constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1)  // NOLINT: implicit, as HIP's
      : x(x_), y(y_), z(z_) {}
  unsigned x, y, z;
};

namespace forge::emulator {

struct Index {
  unsigned x, y, z;
};

enum class ShuffleKind { kXor, kDown, kIndex };

// SystemRoot() of control.h.
std::string SystemRootText();

// Gives a kernel to a stream. `thread` is its body as one thread runs it. Errors show in
// hipGetLastError, as those of a launch do.
void Launch(const char* name, dim3 grid, dim3 block, size_t shared_bytes, hipStream_t stream,
            std::function<void()> thread);

// A kernel's body as one thread runs it, with copies of its arguments.
using BindKernel = std::function<void()> (*)(const void* kernel, void** arguments);
// What a compiler leaves of a kernel for the functions that take its address.
void DescribeKernelAs(const void* kernel, const char* name, BindKernel bind);
template <typename... Parameters, size_t... kIndices>
std::function<void()> BindArguments(void (*body)(Parameters...), void** arguments,
                                    std::index_sequence<kIndices...>) {
  return [body,
          copies = std::tuple<Parameters...>(*static_cast<Parameters*>(arguments[kIndices])...)] {
    std::apply(body, copies);
  };
}
template <typename... Parameters>
void DescribeKernel(void (*kernel)(Parameters...), const char* name) {
  DescribeKernelAs(
      reinterpret_cast<const void*>(kernel), name, [](const void* address, void** arguments) {
        const auto body = reinterpret_cast<void (*)(Parameters...)>(const_cast<void*>(address));
        return BindArguments(body, arguments, std::index_sequence_for<Parameters...>());
      });
}

// What follows is for threads of a kernel. `line` is the place in the source that waits; threads
// that meet must have come to the same one.
void BlockBarrier(int line);
void WaveBarrier(int line);
uint64_t WaveVote(bool predicate, int line);
// The 64 bits of the lane that this lane reads from within its group of `width`.
uint64_t ShuffleBits(uint64_t bits, ShuffleKind kind, int operand, int width, int line);

// The shared memory that belongs to `site`, the same for all threads of a block.
void* SharedArray(const char* site, const char* name, size_t bytes);
void* DynamicShared();

template <typename T>
T WaveShuffle(T value, ShuffleKind kind, int operand, int width, int line) {
  static_assert(std::is_trivially_copyable_v<T> && (sizeof(T) == 4 || sizeof(T) == 8));
  using Bits = std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>;
  const uint64_t read = ShuffleBits(std::bit_cast<Bits>(value), kind, operand, width, line);
  return std::bit_cast<T>(static_cast<Bits>(read));
}

}  // namespace forge::emulator

struct hipKernelNodeParams {
  dim3 blockDim;
  void** extra;
  void* func;
  dim3 gridDim;
  void** kernelParams;
  unsigned sharedMemBytes;
};

// Kernels must have been described.
hipError_t hipLaunchKernel(const void* kernel, dim3 grid, dim3 block, void** arguments,
                           size_t shared_bytes, hipStream_t stream);
hipError_t hipGraphCreate(hipGraph_t* graph, unsigned flags);
hipError_t hipGraphDestroy(hipGraph_t graph);
hipError_t hipGraphAddKernelNode(hipGraphNode_t* node, hipGraph_t graph,
                                 const hipGraphNode_t* dependencies, size_t n_dependencies,
                                 const hipKernelNodeParams* params);
hipError_t hipGraphInstantiateWithFlags(hipGraphExec_t* executable, hipGraph_t graph,
                                        unsigned long long flags);
hipError_t hipGraphExecKernelNodeSetParams(hipGraphExec_t executable, hipGraphNode_t node,
                                           const hipKernelNodeParams* params);
hipError_t hipGraphLaunch(hipGraphExec_t executable, hipStream_t stream);
hipError_t hipGraphExecDestroy(hipGraphExec_t executable);

// Set before a thread of a kernel runs, and again whenever it goes on after a wait.
extern thread_local constinit forge::emulator::Index threadIdx;
extern thread_local constinit forge::emulator::Index blockIdx;
extern thread_local constinit dim3 blockDim;
extern thread_local constinit dim3 gridDim;

inline void __syncthreads(int line = __builtin_LINE()) { forge::emulator::BlockBarrier(line); }
inline void __threadfence() { std::atomic_thread_fence(std::memory_order_seq_cst); }

template <typename T>
T atomicAdd(T* target, std::type_identity_t<T> value) {
  return std::atomic_ref<T>(*target).fetch_add(value);
}
template <typename T>
T atomicExch(T* target, std::type_identity_t<T> value) {
  return std::atomic_ref<T>(*target).exchange(value);
}
template <typename T>
T atomicCAS(T* target, std::type_identity_t<T> expected, std::type_identity_t<T> value) {
  std::atomic_ref<T>(*target).compare_exchange_strong(expected, value);
  return expected;
}
template <typename T>
T atomicMax(T* target, std::type_identity_t<T> value) {
  std::atomic_ref<T> atomic(*target);
  T seen = atomic.load();
  while (seen < value && !atomic.compare_exchange_weak(seen, value)) {
  }
  return seen;
}
template <typename T>
T atomicMin(T* target, std::type_identity_t<T> value) {
  std::atomic_ref<T> atomic(*target);
  T seen = atomic.load();
  while (value < seen && !atomic.compare_exchange_weak(seen, value)) {
  }
  return seen;
}

inline float rsqrtf(float x) { return 1.0f / std::sqrt(x); }
inline float __expf(float x) { return std::exp(x); }
inline float __fdividef(float x, float y) { return x / y; }
inline int __float2int_rn(float x) { return static_cast<int>(std::nearbyint(x)); }
inline int __popc(unsigned x) { return std::popcount(x); }
inline int __popcll(unsigned long long x) { return std::popcount(x); }
inline int __ffsll(unsigned long long x) { return x == 0 ? 0 : std::countr_zero(x) + 1; }
inline int __clz(int x) { return std::countl_zero(static_cast<unsigned>(x)); }
template <typename T>
T __ldg(const T* p) {
  return *p;
}
