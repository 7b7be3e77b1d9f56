// The CPU device at each instruction set that this processor has, for the tests of the ops.
#include <string>
#include <utility>

#include "kernels/cpu/attention.h"
#include "kernels/cpu/causal_conv.h"
#include "kernels/cpu/combine_experts.h"
#include "kernels/cpu/cpu_features.h"
#include "kernels/cpu/cpu_stream.h"
#include "kernels/cpu/delta_rule.h"
#include "kernels/cpu/expert_matmul.h"
#include "kernels/cpu/gather_rows.h"
#include "kernels/cpu/join_columns.h"
#include "kernels/cpu/kv_layout.h"
#include "kernels/cpu/matmul.h"
#include "kernels/cpu/multiply_columns.h"
#include "kernels/cpu/pack.h"
#include "kernels/cpu/rms_norm.h"
#include "kernels/cpu/rope_append.h"
#include "kernels/cpu/route_experts.h"
#include "kernels/cpu/sigmoid_gate.h"
#include "kernels/cpu/soft_cap.h"
#include "kernels/cpu/state_space.h"
#include "kernels/cpu/thread_pool.h"
#include "kernels/cpu/top_logits.h"
#include "tests/kernels/op_rig.h"

namespace forge::testing {
namespace {

// The host's arrays are the device's.
class CpuOpRig final : public OpRig {
 public:
  CpuOpRig(CpuLevel level, int n_threads)
      : pool_(std::move(ThreadPool::Create(n_threads)).value()), stream_(*pool_, level) {}

  Status Run(const EmbedArgs& args) override { return CpuEmbed(args, stream_); }
  Status Run(const RmsNormArgs& args) override { return CpuRmsNorm(args, stream_); }
  Status Run(const MatmulArgs& args) override { return CpuMatmul(args, stream_); }
  Status Run(const RopeAppendArgs& args) override { return CpuRopeAppend(args, stream_); }
  Status Run(const AttentionArgs& args) override { return CpuAttention(args, stream_); }
  Status Run(const GatherRowsArgs& args) override { return CpuGatherRows(args, stream_); }
  Status Run(const JoinColumnsArgs& args) override { return CpuJoinColumns(args, stream_); }
  Status Run(const SigmoidGateArgs& args) override { return CpuSigmoidGate(args, stream_); }
  Status Run(const MultiplyColumnsArgs& args) override { return CpuMultiplyColumns(args, stream_); }
  Status Run(const CausalConvArgs& args) override { return CpuCausalConv(args, stream_); }
  Status Run(const DeltaRuleArgs& args) override { return CpuDeltaRule(args, stream_); }
  Status Run(const StateSpaceArgs& args) override { return CpuStateSpace(args, stream_); }
  Status Run(const SoftCapArgs& args) override { return CpuSoftCap(args, stream_); }
  Status Run(const RouteExpertsArgs& args) override { return CpuRouteExperts(args, stream_); }
  Status Run(const ExpertMatmulArgs& args) override { return CpuExpertMatmul(args, stream_); }
  Status Run(const CombineExpertsArgs& args) override { return CpuCombineExperts(args, stream_); }
  Status Run(const TopLogitsArgs& args) override { return CpuTopLogits(args, stream_); }

  Result<uint64_t> PackedWeightBytes(const WeightShape& shape) const override {
    return CpuPackedWeightBytes(shape);
  }
  Status PackRows(const WeightShape& shape, const std::byte* file_rows, void* packed) override {
    return CpuPackRows(shape, 0, shape.n_rows, file_rows, packed);
  }
  uint64_t MatmulWorkspaceBytes(int max_tokens, int64_t max_cols) const override {
    return CpuMatmulWorkspaceBytes(max_tokens, max_cols);
  }
  uint64_t AttentionWorkspaceBytes(int max_tokens, int n_heads, int value_dim) const override {
    return CpuAttentionWorkspaceBytes(max_tokens, n_heads, value_dim);
  }
  uint64_t ExpertMatmulWorkspaceBytes(int max_pairs, int64_t max_cols,
                                      int max_experts) const override {
    return CpuExpertMatmulWorkspaceBytes(max_pairs, max_cols, max_experts);
  }

  KvPlace KeyPlace(const KvLayerView& cache, int64_t block, int64_t head,
                   int64_t offset) const override {
    const CpuKvPlace place = CpuKeyPlace(cache, block, head, offset);
    return {place.elements, place.scales, cache.block_tokens};
  }
  KvPlace ValuePlace(const KvLayerView& cache, int64_t block, int64_t head,
                     int64_t offset) const override {
    if (cache.values_in_keys) {
      const CpuKvPlace place = CpuValueInKeyPlace(cache, block, head, offset);
      return {place.elements, place.scales, cache.block_tokens};
    }
    const CpuKvPlace place = CpuValuePlace(cache, block, head, offset);
    return {place.elements, place.scales, 1};
  }

  bool refuses_indices() const override { return true; }
  bool runs_on_threads() const override { return true; }
  int max_equal_tokens() const override { return 1 << 30; }
  int max_equal_pairs() const override { return 1 << 30; }

 private:
  const std::unique_ptr<ThreadPool> pool_;
  CpuStream stream_;
};

std::unique_ptr<OpRig> CreateCpuOpRig(const OpRigKind& kind, int n_threads) {
  return std::make_unique<CpuOpRig>(static_cast<CpuLevel>(kind.variant), n_threads);
}

}  // namespace

const std::vector<OpRigKind>& OpRigKinds() {
  static const std::vector<OpRigKind> kKinds = [] {
    std::vector<OpRigKind> kinds;
    for (const CpuLevel level : kCpuLevels)
      if (HasCpuLevel(level))
        kinds.push_back(
            {std::string(CpuLevelName(level)), CreateCpuOpRig, static_cast<int>(level)});
    return kinds;
  }();
  return kKinds;
}

}  // namespace forge::testing
