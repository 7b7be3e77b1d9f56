// The HIP runtime's functions that launch kernels by their address, alone and in graphs.

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "tests/hip_emulator/machine.h"

using forge::emulator::Machine;
using forge::emulator::Remember;

namespace {

struct KernelEntry {
  const char* name;
  forge::emulator::BindKernel bind;
};

std::mutex g_kernels_mutex;
std::map<const void*, KernelEntry> g_kernels;

std::optional<KernelEntry> FindKernel(const void* kernel) {
  const std::lock_guard lock(g_kernels_mutex);
  const auto found = g_kernels.find(kernel);
  if (found == g_kernels.end()) return std::nullopt;
  return found->second;
}

struct BoundKernel {
  const void* address = nullptr;
  const char* name = "";
  dim3 grid, block;
  size_t shared_bytes = 0;
  std::function<void()> thread;
};

hipError_t Bind(const hipKernelNodeParams& params, BoundKernel& bound) {
  const std::optional<KernelEntry> entry = FindKernel(params.func);
  if (!entry || params.extra != nullptr) return hipErrorInvalidValue;
  bound = {params.func,     entry->name,           params.gridDim,
           params.blockDim, params.sharedMemBytes, entry->bind(params.func, params.kernelParams)};
  return hipSuccess;
}

void LaunchBound(const BoundKernel& kernel, hipStream_t stream) {
  forge::emulator::Launch(kernel.name, kernel.grid, kernel.block, kernel.shared_bytes, stream,
                          kernel.thread);
}

}  // namespace

struct ihipGraphNode_t {
  BoundKernel kernel;
};
struct ihipGraph_t {
  std::vector<std::unique_ptr<ihipGraphNode_t>> nodes;
};
// Kernels by the node that they were made of.
struct ihipGraphExec_t {
  std::vector<std::pair<hipGraphNode_t, BoundKernel>> kernels;
};

namespace {

// Owned here, so that what a lost device leaves behind is no leak.
std::mutex g_graphs_mutex;
std::map<hipGraph_t, std::unique_ptr<ihipGraph_t>> g_graphs;
std::map<hipGraphExec_t, std::unique_ptr<ihipGraphExec_t>> g_executables;

}  // namespace

void forge::emulator::DescribeKernelAs(const void* kernel, const char* name, BindKernel bind) {
  const std::lock_guard lock(g_kernels_mutex);
  g_kernels.try_emplace(kernel, KernelEntry{name, bind});
}

hipError_t hipLaunchKernel(const void* kernel, dim3 grid, dim3 block, void** arguments,
                           size_t shared_bytes, hipStream_t stream) {
  hipKernelNodeParams params = {};
  params.func = const_cast<void*>(kernel);
  params.gridDim = grid;
  params.blockDim = block;
  params.sharedMemBytes = static_cast<unsigned>(shared_bytes);
  params.kernelParams = arguments;
  BoundKernel bound;
  if (const hipError_t error = Bind(params, bound)) return Remember(error);
  LaunchBound(bound, stream);
  return hipGetLastError();
}

hipError_t hipGraphCreate(hipGraph_t* graph, unsigned) {
  *graph = nullptr;
  if (const hipError_t error = Machine::Get().BeginDeviceCall("hipGraphCreate"))
    return Remember(error);
  auto made = std::make_unique<ihipGraph_t>();
  *graph = made.get();
  const std::lock_guard lock(g_graphs_mutex);
  g_graphs.emplace(*graph, std::move(made));
  return hipSuccess;
}

hipError_t hipGraphDestroy(hipGraph_t graph) {
  const std::lock_guard lock(g_graphs_mutex);
  return Remember(g_graphs.erase(graph) == 1 ? hipSuccess : hipErrorInvalidValue);
}

hipError_t hipGraphAddKernelNode(hipGraphNode_t* node, hipGraph_t graph,
                                 const hipGraphNode_t* dependencies, size_t n_dependencies,
                                 const hipKernelNodeParams* params) {
  *node = nullptr;
  if (const hipError_t error = Machine::Get().BeginDeviceCall("hipGraphAddKernelNode"))
    return Remember(error);
  const bool is_chain = graph->nodes.empty()
                            ? n_dependencies == 0
                            : n_dependencies == 1 && dependencies[0] == graph->nodes.back().get();
  if (!is_chain) return Remember(hipErrorNotSupported);
  auto added = std::make_unique<ihipGraphNode_t>();
  if (const hipError_t error = Bind(*params, added->kernel)) return Remember(error);
  *node = added.get();
  graph->nodes.push_back(std::move(added));
  return hipSuccess;
}

hipError_t hipGraphInstantiateWithFlags(hipGraphExec_t* executable, hipGraph_t graph,
                                        unsigned long long) {
  *executable = nullptr;
  if (const hipError_t error = Machine::Get().BeginDeviceCall("hipGraphInstantiateWithFlags"))
    return Remember(error);
  auto made = std::make_unique<ihipGraphExec_t>();
  for (const std::unique_ptr<ihipGraphNode_t>& node : graph->nodes)
    made->kernels.emplace_back(node.get(), node->kernel);
  *executable = made.get();
  const std::lock_guard lock(g_graphs_mutex);
  g_executables.emplace(*executable, std::move(made));
  return hipSuccess;
}

hipError_t hipGraphExecKernelNodeSetParams(hipGraphExec_t executable, hipGraphNode_t node,
                                           const hipKernelNodeParams* params) {
  if (const hipError_t error = Machine::Get().BeginDeviceCall("hipGraphExecKernelNodeSetParams"))
    return Remember(error);
  for (auto& [made_of, kernel] : executable->kernels) {
    if (made_of != node) continue;
    // As the real ones, which keep the function of a node.
    if (params->func != kernel.address) return Remember(hipErrorInvalidValue);
    return Remember(Bind(*params, kernel));
  }
  return Remember(hipErrorInvalidValue);
}

hipError_t hipGraphLaunch(hipGraphExec_t executable, hipStream_t stream) {
  if (const hipError_t error = Machine::Get().BeginDeviceCall("hipGraphLaunch"))
    return Remember(error);
  for (const auto& [node, kernel] : executable->kernels) {
    LaunchBound(kernel, stream);
    if (const hipError_t error = hipPeekAtLastError()) return error;
  }
  return hipSuccess;
}

hipError_t hipGraphExecDestroy(hipGraphExec_t executable) {
  const std::lock_guard lock(g_graphs_mutex);
  return Remember(g_executables.erase(executable) == 1 ? hipSuccess : hipErrorInvalidValue);
}
