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
// date where few of its arguments are others; where most are, that would take longer than it saves.
// Where the runtime has no graphs, or fails in one of their functions, everything is launched as it
// is from then on.
//
// ROCm's runtime takes new memory for the arguments of every update and gives none of it back
// before the graph goes (clr, GraphExec::UpdateAQLPacket), so a graph is made anew now and then.
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
    size_t n_updates = 0;  // of nodes, since it was made
  };
  // A group that came once and has no graph.
  struct Sighting {
    size_t place;
    LaunchGroup group;
  };
  // Of a model's steps: some ten groups of a step, for some numbers of streams.
  static constexpr size_t kMostGraphs = 128;
  // Of a graph's nodes, on average, before it is made anew.
  static constexpr size_t kMostUpdates = 8;

  Graph* Find(const LaunchGroup& group, size_t place);
  // The graph found, with the group's arguments; null where it is not to be used for them.
  Graph* UpToDate(Graph& graph, const LaunchGroup& group);
  // Whether the group came before; remembers it if not.
  bool IsSeenAgain(const LaunchGroup& group, size_t place);
  // Null if the runtime cannot.
  Graph* Build(const LaunchGroup& group, size_t place);
  static bool AddNodes(Graph& graph);
  bool Update(Graph& graph, const LaunchGroup& group);
  void Destroy(Graph& graph);
  Status LaunchEach(const LaunchGroup& group, hipStream_t stream);

  HipContext& context_;
  bool is_on_;
  std::deque<std::unique_ptr<Graph>> graphs_;  // the last used first
  std::deque<Sighting> sightings_;             // the newest first
};

}  // namespace forge
