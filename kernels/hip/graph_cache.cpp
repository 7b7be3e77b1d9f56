#include "kernels/hip/graph_cache.h"

#include <algorithm>
#include <string>
#include <utility>

namespace forge {
namespace {

hipKernelNodeParams NodeOf(const LaunchGroup& group, size_t i) {
  hipKernelNodeParams node = {};
  node.func = const_cast<void*>(group.kernel(i));
  node.gridDim = group.shape(i).grid;
  node.blockDim = group.shape(i).block;
  node.sharedMemBytes = static_cast<unsigned>(group.shape(i).shared_bytes);
  node.kernelParams = group.Arguments(i);
  return node;
}

}  // namespace

GraphCache::~GraphCache() {
  for (const std::unique_ptr<Graph>& graph : graphs_) Destroy(*graph);
}

Status GraphCache::Launch(const LaunchGroup& group, size_t place, hipStream_t stream) {
  Graph* graph = is_on_ ? Find(group, place) : nullptr;
  if (graph != nullptr)
    graph = UpToDate(*graph, group);
  else if (is_on_ && IsSeenAgain(group, place))
    graph = Build(group, place);
  if (graph == nullptr) return LaunchEach(group, stream);
  if (hipGraphLaunch(graph->executable, stream) == hipSuccess) return Status();
  // If it is the device and not its graphs that fails, the launches say so.
  static_cast<void>(hipGetLastError());
  is_on_ = false;
  return LaunchEach(group, stream);
}

Status GraphCache::LaunchEach(const LaunchGroup& group, hipStream_t stream) {
  for (size_t i = 0; i < group.size(); ++i) {
    const LaunchShape& shape = group.shape(i);
    FORGE_TRY(context_.Check(hipLaunchKernel(group.kernel(i), shape.grid, shape.block,
                                             group.Arguments(i), shape.shared_bytes, stream),
                             std::string("launch of kernel ") + group.name(i)));
  }
  return Status();
}

GraphCache::Graph* GraphCache::Find(const LaunchGroup& group, size_t place) {
  const auto found = std::ranges::find_if(graphs_, [&](const std::unique_ptr<Graph>& graph) {
    return graph->place == place && graph->group.HasKernelsOf(group);
  });
  if (found == graphs_.end()) return nullptr;
  std::rotate(graphs_.begin(), found, found + 1);
  return graphs_.front().get();
}

bool GraphCache::IsSeenAgain(const LaunchGroup& group, size_t place) {
  const auto found = std::ranges::find_if(sightings_, [&](const Sighting& sighting) {
    return sighting.place == place && sighting.group.HasKernelsOf(group);
  });
  if (found != sightings_.end()) {
    sightings_.erase(found);
    return true;
  }
  sightings_.push_front({place, group});
  if (sightings_.size() > kMostGraphs) sightings_.pop_back();
  return false;
}

GraphCache::Graph* GraphCache::Build(const LaunchGroup& group, size_t place) {
  auto graph = std::make_unique<Graph>(Graph{.place = place, .group = group, .nodes = {}});
  const bool is_built =
      hipGraphCreate(&graph->graph, 0) == hipSuccess && AddNodes(*graph) &&
      hipGraphInstantiateWithFlags(&graph->executable, graph->graph, 0) == hipSuccess;
  if (!is_built) {
    static_cast<void>(hipGetLastError());
    Destroy(*graph);
    is_on_ = false;
    return nullptr;
  }
  if (graphs_.size() == kMostGraphs) {
    Destroy(*graphs_.back());
    graphs_.pop_back();
  }
  graphs_.push_front(std::move(graph));
  return graphs_.front().get();
}

// Each after the one before it, as in a stream.
bool GraphCache::AddNodes(Graph& graph) {
  for (size_t i = 0; i < graph.group.size(); ++i) {
    const hipKernelNodeParams params = NodeOf(graph.group, i);
    hipGraphNode_t node = nullptr;
    const hipGraphNode_t* const last = i > 0 ? &graph.nodes.back() : nullptr;
    if (hipGraphAddKernelNode(&node, graph.graph, last, i > 0 ? 1 : 0, &params) != hipSuccess)
      return false;
    graph.nodes.push_back(node);
  }
  return true;
}

GraphCache::Graph* GraphCache::UpToDate(Graph& graph, const LaunchGroup& group) {
  size_t n_changed = 0;
  for (size_t i = 0; i < group.size(); ++i) n_changed += graph.group.IsSameLaunch(i, group) ? 0 : 1;
  if (2 * n_changed > group.size()) return nullptr;
  if (graph.n_updates + n_changed > kMostUpdates * group.size()) {
    const size_t place = graph.place;
    Destroy(graph);
    std::erase_if(graphs_, [&graph](const auto& other) { return other.get() == &graph; });
    return Build(group, place);
  }
  graph.n_updates += n_changed;
  return n_changed == 0 || Update(graph, group) ? &graph : nullptr;
}

bool GraphCache::Update(Graph& graph, const LaunchGroup& group) {
  for (size_t i = 0; i < group.size(); ++i) {
    if (graph.group.IsSameLaunch(i, group)) continue;
    const hipKernelNodeParams params = NodeOf(group, i);
    if (hipGraphExecKernelNodeSetParams(graph.executable, graph.nodes[i], &params) == hipSuccess)
      continue;
    static_cast<void>(hipGetLastError());
    is_on_ = false;
    return false;
  }
  graph.group = group;
  return true;
}

void GraphCache::Destroy(Graph& graph) {
  if (context_.health().lost()) return;  // all of it is the driver's
  if (graph.executable != nullptr) static_cast<void>(hipGraphExecDestroy(graph.executable));
  if (graph.graph != nullptr) static_cast<void>(hipGraphDestroy(graph.graph));
}

}  // namespace forge
