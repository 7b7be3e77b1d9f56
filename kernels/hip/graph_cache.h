#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <vector>

#include "kernels/base/status.h"
#include "kernels/hip/gpu_runtime.h"
#include "kernels/hip/hip_context.h"
#include "kernels/hip/launch_group.h"

namespace forge {

// Gives groups of launches to a stream: as they are, and those that come again as graphs, which the
// runtime hands to the hardware at once. A graph whose kernels are the group's is brought up to
// date where its arguments are others. Where the runtime has no graphs, or fails in one of their
// functions, everything is launched as it is from then on.
//
// Not thread-safe. Lifetime: the context must outlive it.
class GraphCache {
 public:
  explicit GraphCache(HipContext& context) : context_(context), is_on_(context.uses_graphs()) {}
  // REQUIRES: what was launched has ended, or the device is lost.
  ~GraphCache();

  // `place`: which of a step's groups this is; the same kernels at another place have other
  // arguments. Errors as of a launch.
  // REQUIRES: what the last call for the same place launched has ended. The device is chosen.
  Status Launch(const LaunchGroup& group, size_t place, hipStream_t stream);

 private:
  // The launches of one group, in order.
  struct Graph {
    size_t place;
    LaunchGroup group;  // what it launches
    hipGraph_t graph = nullptr;
    hipGraphExec_t executable = nullptr;
    std::vector<hipGraphNode_t> nodes;
  };
  // A group that came once and has no graph.
  struct Sighting {
    size_t place;
    LaunchGroup group;
  };
  // Of a model's steps: some ten groups of a step, for some numbers of streams.
  static constexpr size_t kMostGraphs = 128;

  Graph* Find(const LaunchGroup& group, size_t place);
  // Whether the group came before; remembers it if not.
  bool IsSeenAgain(const LaunchGroup& group, size_t place);
  // Null if the runtime cannot.
  Graph* Build(const LaunchGroup& group, size_t place);
  static bool AddNodes(Graph& graph);
  bool Update(Graph& graph, const LaunchGroup& group);
  void Destroy(Graph& graph);
  static Status LaunchEach(const LaunchGroup& group, hipStream_t stream);

  HipContext& context_;
  bool is_on_;
  std::deque<std::unique_ptr<Graph>> graphs_;  // the last used first
  std::deque<Sighting> sightings_;             // the newest first
};

}  // namespace forge
