// A HIP device for the tests of the ops: the GPU that there is, or emulated ones with waves of 32
// and of 64.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <map>
#include <string>
#include <utility>

#include "kernels/hip/hip_device.h"
#include "kernels/hip/pack.h"
#include "tests/kernels/op_rig.h"
#if defined(FORGE_GPU_EMULATED)
#include "tests/hip_emulator/control.h"
#endif

namespace forge::testing {
namespace {

// Copies of a run's arrays in device memory, one allocation each so that an access beyond any of
// them is one beyond an allocation.
class DeviceArrays {
 public:
  DeviceArrays(Device& device, Stream& stream) : device_(device), stream_(stream) {}
  ~DeviceArrays() {
    for (const auto& [host, array] : arrays_) device_.Free(array.data, array.bytes);
  }
  DeviceArrays(const DeviceArrays&) = delete;
  DeviceArrays& operator=(const DeviceArrays&) = delete;

  // Each returns null for null. An array that is named twice is one.
  template <typename T, typename Count>
  const T* In(const T* host, Count n) {
    return static_cast<const T*>(Find(host, static_cast<uint64_t>(n) * sizeof(T), true).data);
  }
  // The kernel must write all of it: what it holds at first is not copied.
  template <typename T, typename Count>
  T* Out(T* host, Count n) {
    return static_cast<T*>(Written(host, static_cast<uint64_t>(n) * sizeof(T), false));
  }
  template <typename T, typename Count>
  T* InOut(T* host, Count n) {
    return static_cast<T*>(Written(host, static_cast<uint64_t>(n) * sizeof(T), true));
  }
  const void* InBytes(const void* host, uint64_t bytes) { return Find(host, bytes, true).data; }
  void* InOutBytes(void* host, uint64_t bytes) { return Written(host, bytes, true); }
  Workspace Scratch(const Workspace& host) {
    if (host.data == nullptr || host.bytes == 0) return host;
    return {Find(host.data, host.bytes, false).data, host.bytes};
  }

  // Waits for the op and brings back what it wrote.
  Status Finish(const Status& launched) {
    FORGE_TRY(status_);
    const Status ran = stream_.Synchronize();
#if defined(FORGE_GPU_EMULATED)
    for (const std::string& fault : emulator::TakeFaults()) ADD_FAILURE() << fault;
#endif
    FORGE_TRY(launched);
    FORGE_TRY(ran);
    for (const auto& [host, array] : arrays_)
      if (array.is_written)
        FORGE_TRY(device_.CopyOut(array.host, array.data, array.bytes, stream_));
    return stream_.Synchronize();
  }

 private:
  struct Array {
    void* data = nullptr;
    uint64_t bytes = 0;
    void* host = nullptr;
    bool is_written = false;
  };

  Array& Find(const void* host, uint64_t bytes, bool copies) {
    static Array none;
    none = {};
    if (host == nullptr || bytes == 0 || !status_.ok()) return none;
    Array& array = arrays_[host];
    if (array.data != nullptr) {
      EXPECT_LE(bytes, array.bytes) << "an array must be named as a whole at first";
      return array;
    }
    array.bytes = bytes;
    Result<void*> data = device_.Allocate(bytes);
    status_ = data.status();
    if (!status_.ok()) return array;
    array.data = *data;
    if (copies) status_ = device_.CopyIn(array.data, host, bytes, stream_);
    return array;
  }
  void* Written(void* host, uint64_t bytes, bool copies) {
    Array& array = Find(host, bytes, copies);
    array.host = host;
    array.is_written = host != nullptr;
    return array.data;
  }

  Device& device_;
  Stream& stream_;
  Status status_;
  std::map<const void*, Array> arrays_;
};

uint64_t CacheElements(const KvLayerView& cache, int dim) {
  return static_cast<uint64_t>(cache.n_blocks) * static_cast<uint64_t>(cache.n_kv_heads) *
         static_cast<uint64_t>(cache.block_tokens) * static_cast<uint64_t>(dim);
}

// From its first row to the end of the last.
int64_t ElementsOf(const ColumnPart& part, int64_t n_rows) {
  return part.n_cols == 0 ? 0 : (n_rows - 1) * part.stride + part.n_cols;
}

class HipOpRig final : public OpRig {
 public:
  HipOpRig(std::unique_ptr<Device> device, std::unique_ptr<Stream> stream)
      : device_(std::move(device)), stream_(std::move(stream)) {}

  Status Run(const EmbedArgs& args) override {
    if (!HasWork(args, args.n_tokens)) return ops().embed(args, *stream_);
    DeviceArrays arrays(*device_, *stream_);
    EmbedArgs on = args;
    on.table = View(arrays, args.table);
    on.tokens = arrays.In(args.tokens, args.n_tokens);
    on.y = arrays.Out(args.y, args.n_tokens * args.table.shape.n_cols);
    return arrays.Finish(ops().embed(on, *stream_));
  }

  Status Run(const RmsNormArgs& args) override {
    if (!HasWork(args, args.n_rows)) return ops().rms_norm(args, *stream_);
    DeviceArrays arrays(*device_, *stream_);
    const int n = args.n_rows * args.dim;
    RmsNormArgs on = args;
    on.x = arrays.In(args.x, n);
    on.weight = arrays.In(args.weight, args.n_weight_rows * args.dim);
    on.bias = arrays.In(args.bias, args.n_weight_rows * args.dim);
    on.sum_scale = arrays.In(args.sum_scale, 1);
    on.residual = arrays.In(args.residual, n);
    on.y = arrays.Out(args.y, n);
    return arrays.Finish(ops().rms_norm(on, *stream_));
  }

  Status Run(const MatmulArgs& args) override {
    if (!HasWork(args, args.n_tokens)) return ops().matmul(args, *stream_);
    DeviceArrays arrays(*device_, *stream_);
    MatmulArgs on = args;
    const int64_t n_in = args.targets[0].weight.shape.n_cols;
    on.x = arrays.In(args.x, args.n_tokens * n_in);
    on.norm.weight = arrays.In(args.norm.weight, n_in);
    on.norm.bias = arrays.In(args.norm.bias, n_in);
    on.norm.scratch = arrays.InOut(args.norm.scratch, args.n_tokens * n_in);
    for (size_t i = 0; i < static_cast<size_t>(args.n_targets); ++i) {
      const MatmulTarget& target = args.targets[i];
      const int64_t n_out = target.weight.shape.n_rows;
      on.targets[i].weight = View(arrays, target.weight);
      on.targets[i].bias = arrays.In(target.bias, n_out);
      on.targets[i].residual = arrays.In(target.residual, args.n_tokens * n_out);
      on.targets[i].y = arrays.Out(target.y, args.n_tokens * n_out);
    }
    on.workspace = arrays.Scratch(args.workspace);
    return arrays.Finish(ops().matmul(on, *stream_));
  }

  Status Run(const RopeAppendArgs& args) override {
    if (!HasWork(args, args.batch.n_tokens)) return ops().rope_append(args, *stream_);
    DeviceArrays arrays(*device_, *stream_);
    RopeAppendArgs on = args;
    on.batch = View(arrays, args.batch);
    on.cache = View(arrays, args.cache);
    const int head_dim = args.cache.head_dim;
    const int n_rows = args.batch.n_tokens * args.cache.n_kv_heads;
    on.queries = arrays.InOut(args.queries, args.batch.n_tokens * args.n_heads * head_dim);
    on.keys = arrays.InOut(args.keys, n_rows * head_dim);
    on.values = arrays.In(args.values, n_rows * args.cache.value_dim);
    on.query_norm = arrays.In(args.query_norm, head_dim * (args.heads_differ ? args.n_heads : 1));
    on.key_norm =
        arrays.In(args.key_norm, head_dim * (args.heads_differ ? args.cache.n_kv_heads : 1));
    on.rotation.frequencies = arrays.In(args.rotation.frequencies, args.rotation.rotary_dim / 2);
    return arrays.Finish(ops().rope_append(on, *stream_));
  }

  Status Run(const AttentionArgs& args) override {
    if (!HasWork(args, args.batch.n_tokens)) return ops().attention(args, *stream_);
    DeviceArrays arrays(*device_, *stream_);
    AttentionArgs on = args;
    on.batch = View(arrays, args.batch);
    on.cache = View(arrays, args.cache);
    const int n_rows = args.batch.n_tokens * args.n_heads;
    on.q = arrays.In(args.q, n_rows * args.cache.head_dim);
    on.y = arrays.Out(args.y, n_rows * args.cache.value_dim);
    on.last_seen = arrays.In(args.last_seen, args.batch.n_tokens);
    on.sinks = arrays.In(args.sinks, args.n_heads);
    on.workspace = arrays.Scratch(args.workspace);
    return arrays.Finish(ops().attention(on, *stream_));
  }

  Status Run(const GatherRowsArgs& args) override {
    if (!HasWork(args, args.n_rows)) return ops().gather_rows(args, *stream_);
    DeviceArrays arrays(*device_, *stream_);
    GatherRowsArgs on = args;
    on.x = arrays.In(args.x, args.n_x_rows * args.dim);
    on.rows = arrays.In(args.rows, args.n_rows);
    on.y = arrays.Out(args.y, args.n_rows * args.dim);
    return arrays.Finish(ops().gather_rows(on, *stream_));
  }

  Status Run(const JoinColumnsArgs& args) override {
    if (!HasWork(args, args.n_rows)) return ops().join_columns(args, *stream_);
    DeviceArrays arrays(*device_, *stream_);
    JoinColumnsArgs on = args;
    on.first.x = arrays.In(args.first.x, ElementsOf(args.first, args.n_rows));
    on.second.x = arrays.In(args.second.x, ElementsOf(args.second, args.n_rows));
    on.y = arrays.Out(args.y, args.n_rows * (args.first.n_cols + args.second.n_cols));
    return arrays.Finish(ops().join_columns(on, *stream_));
  }

  Status Run(const SigmoidGateArgs& args) override {
    if (!HasWork(args, args.n_rows)) return ops().sigmoid_gate(args, *stream_);
    DeviceArrays arrays(*device_, *stream_);
    SigmoidGateArgs on = args;
    const int n = args.n_rows * args.gate.n_cols;
    on.x = arrays.In(args.x, n);
    on.gate.x = arrays.In(args.gate.x, ElementsOf(args.gate, args.n_rows));
    on.y = arrays.Out(args.y, n);
    return arrays.Finish(ops().sigmoid_gate(on, *stream_));
  }

  Status Run(const MultiplyColumnsArgs& args) override {
    if (!HasWork(args, args.n_rows)) return ops().multiply_columns(args, *stream_);
    DeviceArrays arrays(*device_, *stream_);
    MultiplyColumnsArgs on = args;
    const int n = args.n_rows * args.factor.n_cols;
    on.x = arrays.In(args.x, n);
    on.factor.x = arrays.In(args.factor.x, ElementsOf(args.factor, args.n_rows));
    on.y = arrays.Out(args.y, n);
    return arrays.Finish(ops().multiply_columns(on, *stream_));
  }

  Status Run(const CausalConvArgs& args) override {
    if (!HasWork(args, args.batch.n_tokens)) return ops().causal_conv(args, *stream_);
    DeviceArrays arrays(*device_, *stream_);
    CausalConvArgs on = args;
    const int n = args.batch.n_tokens * args.n_channels;
    on.batch.first_token = arrays.In(args.batch.first_token, args.batch.n_sequences + 1);
    on.state = View(arrays, args.state, args.batch.n_sequences);
    on.x = arrays.In(args.x, n);
    on.x_gate = arrays.In(args.x_gate, n);
    on.y_gate = arrays.In(args.y_gate, n);
    on.weight = arrays.In(args.weight, args.n_channels * args.n_taps);
    on.bias = arrays.In(args.bias, args.n_channels);
    on.y = arrays.Out(args.y, n);
    return arrays.Finish(ops().causal_conv(on, *stream_));
  }

  Status Run(const DeltaRuleArgs& args) override {
    if (!HasWork(args, args.batch.n_tokens)) return ops().delta_rule(args, *stream_);
    DeviceArrays arrays(*device_, *stream_);
    DeltaRuleArgs on = args;
    const int n_numbers = args.batch.n_tokens * args.n_value_heads;
    const int n_heads = args.batch.n_tokens * (2 * args.n_key_heads + args.n_value_heads);
    on.batch.first_token = arrays.In(args.batch.first_token, args.batch.n_sequences + 1);
    on.state = View(arrays, args.state, args.batch.n_sequences);
    on.qkv = arrays.In(args.qkv, n_heads * args.head_dim);
    on.gate = arrays.In(args.gate, n_numbers * args.head_dim);
    on.alpha = arrays.In(args.alpha, n_numbers);
    on.beta = arrays.In(args.beta, n_numbers);
    on.alpha_bias = arrays.In(args.alpha_bias, args.n_value_heads);
    on.decay = arrays.In(args.decay, args.n_value_heads);
    on.norm_weight = arrays.In(args.norm_weight, args.head_dim);
    on.y = arrays.Out(args.y, n_numbers * args.head_dim);
    return arrays.Finish(ops().delta_rule(on, *stream_));
  }

  Status Run(const StateSpaceArgs& args) override {
    if (!HasWork(args, args.batch.n_tokens)) return ops().state_space(args, *stream_);
    DeviceArrays arrays(*device_, *stream_);
    StateSpaceArgs on = args;
    const int n_numbers = args.batch.n_tokens * args.n_heads;
    on.batch.first_token = arrays.In(args.batch.first_token, args.batch.n_sequences + 1);
    on.state = View(arrays, args.state, args.batch.n_sequences);
    on.xbc = arrays.In(args.xbc, n_numbers * args.head_dim +
                                     2 * args.batch.n_tokens * args.n_groups * args.state_dim);
    on.gate = arrays.In(args.gate, n_numbers * args.head_dim);
    on.step = arrays.In(args.step, n_numbers);
    on.step_bias = arrays.In(args.step_bias, args.n_heads);
    on.decay = arrays.In(args.decay, args.n_heads);
    on.skip = arrays.In(args.skip, args.n_heads);
    on.y = arrays.Out(args.y, n_numbers * args.head_dim);
    return arrays.Finish(ops().state_space(on, *stream_));
  }

  Status Run(const SoftCapArgs& args) override {
    if (!HasWork(args, args.n)) return ops().soft_cap(args, *stream_);
    DeviceArrays arrays(*device_, *stream_);
    SoftCapArgs on = args;
    on.x = arrays.In(args.x, args.n);
    on.y = arrays.Out(args.y, args.n);
    return arrays.Finish(ops().soft_cap(on, *stream_));
  }

  Status Run(const RouteExpertsArgs& args) override {
    if (!HasWork(args, args.n_tokens)) return ops().route_experts(args, *stream_);
    DeviceArrays arrays(*device_, *stream_);
    RouteExpertsArgs on = args;
    on.logits = arrays.In(args.logits, args.n_tokens * args.n_experts);
    on.selection_bias = arrays.In(args.selection_bias, args.n_experts);
    on.expert_scales = arrays.In(args.expert_scales, args.n_experts);
    on.experts = arrays.Out(args.experts, args.n_tokens * args.n_used);
    on.weights = arrays.Out(args.weights, args.n_tokens * args.n_used);
    return arrays.Finish(ops().route_experts(on, *stream_));
  }

  Status Run(const ExpertMatmulArgs& args) override {
    if (!HasWork(args, args.n_x_rows)) return ops().expert_matmul(args, *stream_);
    DeviceArrays arrays(*device_, *stream_);
    ExpertMatmulArgs on = args;
    const int n_pairs = args.n_x_rows * args.pairs_per_row;
    on.x = arrays.In(args.x, args.n_x_rows * args.targets[0].weights.first.shape.n_cols);
    on.experts = arrays.In(args.experts, n_pairs);
    for (size_t i = 0; i < static_cast<size_t>(args.n_targets); ++i) {
      const ExpertMatmulTarget& target = args.targets[i];
      const ExpertWeights& weights = target.weights;
      const int64_t n_out = weights.first.shape.n_rows;
      FORGE_ASSIGN_OR_RETURN(const uint64_t bytes, PackedWeightBytes(weights.first.shape));
      const auto n_before = static_cast<uint64_t>(weights.n_experts) - 1;
      on.targets[i].weights.first.data =
          arrays.InBytes(weights.first.data, n_before * weights.stride_bytes + bytes);
      on.targets[i].bias = arrays.In(target.bias, weights.n_experts * n_out);
      on.targets[i].y = arrays.Out(target.y, n_pairs * n_out);
    }
    on.workspace = arrays.Scratch(args.workspace);
    return arrays.Finish(ops().expert_matmul(on, *stream_));
  }

  Status Run(const CombineExpertsArgs& args) override {
    if (!HasWork(args, args.n_tokens)) return ops().combine_experts(args, *stream_);
    DeviceArrays arrays(*device_, *stream_);
    const int n = args.n_tokens * args.dim;
    CombineExpertsArgs on = args;
    on.x = arrays.In(args.x, n * args.n_used);
    on.weights = arrays.In(args.weights, args.n_tokens * args.n_used);
    on.shared = arrays.In(args.shared, n);
    on.shared_gate = arrays.In(args.shared_gate, args.n_tokens);
    on.residual = arrays.In(args.residual, n);
    on.y = arrays.Out(args.y, n);
    return arrays.Finish(ops().combine_experts(on, *stream_));
  }

  Status Run(const TopLogitsArgs& args) override {
    if (!HasWork(args, args.n_rows)) return ops().top_logits(args, *stream_);
    DeviceArrays arrays(*device_, *stream_);
    TopLogitsArgs on = args;
    on.x = arrays.In(args.x, args.n_rows * args.n_cols);
    on.values = arrays.Out(args.values, args.n_rows * args.k);
    on.columns = arrays.Out(args.columns, args.n_rows * args.k);
    on.log_sum_exp = arrays.Out(args.log_sum_exp, args.n_rows);
    return arrays.Finish(ops().top_logits(on, *stream_));
  }

  Result<uint64_t> PackedWeightBytes(const WeightShape& shape) const override {
    return device_->PackedWeightBytes(shape);
  }
  Status PackRows(const WeightShape& shape, const std::byte* file_rows, void* packed) override {
    return HipPackRows(shape, shape.n_rows, file_rows, static_cast<std::byte*>(packed));
  }
  uint64_t MatmulWorkspaceBytes(int max_tokens, int64_t max_cols) const override {
    return device_->MatmulWorkspaceBytes(max_tokens, max_cols);
  }
  uint64_t AttentionWorkspaceBytes(int max_tokens, int n_heads, int value_dim) const override {
    return device_->AttentionWorkspaceBytes(max_tokens, n_heads, value_dim);
  }
  uint64_t ExpertMatmulWorkspaceBytes(int max_pairs, int64_t max_cols,
                                      int max_experts) const override {
    return device_->ExpertMatmulWorkspaceBytes(max_pairs, max_cols, max_experts);
  }

  KvPlace KeyPlace(const KvLayerView& cache, int64_t block, int64_t head,
                   int64_t offset) const override {
    return Place(cache.keys, cache, cache.head_dim, block, head, offset);
  }
  KvPlace ValuePlace(const KvLayerView& cache, int64_t block, int64_t head,
                     int64_t offset) const override {
    return Place(cache.values, cache, cache.value_dim, block, head, offset);
  }

  bool refuses_indices() const override { return false; }
  bool runs_on_threads() const override { return false; }
  int max_equal_tokens() const override { return 32; }
  int max_equal_pairs() const override { return 15; }

 private:
  const OpTable& ops() const { return device_->ops(); }

  // What is refused or does nothing runs without device memory.
  template <typename Args>
  static bool HasWork(const Args& args, int64_t n) {
    return n > 0 && Validate(args).ok();
  }

  WeightView View(DeviceArrays& arrays, const WeightView& weight) const {
    return {arrays.InBytes(weight.data, PackedWeightBytes(weight.shape).value()), weight.shape};
  }
  static RaggedBatch View(DeviceArrays& arrays, const RaggedBatch& batch) {
    RaggedBatch on = batch;
    on.positions = arrays.In(batch.positions, batch.n_tokens);
    on.token_sequence = arrays.In(batch.token_sequence, batch.n_tokens);
    on.first_token = arrays.In(batch.first_token, batch.n_sequences + 1);
    on.block_tables = arrays.In(batch.block_tables, batch.n_sequences * batch.max_blocks);
    return on;
  }
  static RecurrentState View(DeviceArrays& arrays, const RecurrentState& state, int n_sequences) {
    RecurrentState on = state;
    on.data = arrays.InOut(state.data, state.n_slots * state.slot_stride);
    on.from = arrays.In(state.from, n_sequences);
    on.to = arrays.In(state.to, n_sequences);
    on.kept_after = arrays.In(state.kept_after, n_sequences);
    on.kept_to = arrays.In(state.kept_to, n_sequences);
    return on;
  }
  static KvLayerView View(DeviceArrays& arrays, const KvLayerView& cache) {
    KvLayerView on = cache;
    on.keys =
        arrays.InOutBytes(cache.keys, KvBytes(cache.dtype, CacheElements(cache, cache.head_dim)));
    on.values = arrays.InOutBytes(cache.values,
                                  KvBytes(cache.dtype, CacheElements(cache, cache.value_dim)));
    return on;
  }

  // A head's elements [block_tokens, dim], and then its scales [block_tokens, dim / 32].
  static KvPlace Place(const void* data, const KvLayerView& cache, int dim, int64_t block,
                       int64_t head, int64_t offset) {
    const auto n_elements = static_cast<uint64_t>(dim) * static_cast<uint64_t>(cache.block_tokens);
    const auto index = static_cast<uint64_t>(block * cache.n_kv_heads + head);
    const auto* elements =
        static_cast<const std::byte*>(data) + index * KvBytes(cache.dtype, n_elements);
    if (cache.dtype != KvDType::kQ8_0)
      return {elements + static_cast<uint64_t>(offset) * KvBytes(cache.dtype, 1) *
                             static_cast<uint64_t>(dim),
              nullptr, 1};
    return {elements + offset * dim,
            reinterpret_cast<const uint16_t*>(elements + n_elements) + offset * (dim / 32), 1};
  }

  const std::unique_ptr<Device> device_;
  const std::unique_ptr<Stream> stream_;
};

std::unique_ptr<OpRig> CreateHipOpRig(const OpRigKind& kind, int) {
  Result<std::unique_ptr<Device>> device =
      // On a busy machine an emulated kernel may take longer than a real one ever does.
      CreateHipDevice({.index = kind.variant, .hang_limit = std::chrono::minutes(5)});
  EXPECT_TRUE(device.ok()) << device.status().ToString();
  if (!device.ok()) std::abort();
  Result<std::unique_ptr<Stream>> stream = (*device)->CreateStream();
  EXPECT_TRUE(stream.ok()) << stream.status().ToString();
  if (!stream.ok()) std::abort();
  return std::make_unique<HipOpRig>(std::move(*device), std::move(*stream));
}

}  // namespace

#if defined(FORGE_GPU_EMULATED)

const std::vector<OpRigKind>& OpRigKinds() {
  static const std::vector<OpRigKind> kKinds = [] {
    // No figures of a driver: bringing them up to date takes longer than most ops.
    emulator::Reset({{.wave_size = 32, .in_sysfs = false}, {.wave_size = 64, .in_sysfs = false}});
    return std::vector<OpRigKind>{{"wave32", CreateHipOpRig, 0}, {"wave64", CreateHipOpRig, 1}};
  }();
  return kKinds;
}

#else

// Without a GPU there is nothing to run on, and gtest says so; FORGE_REQUIRE_GPU=1 makes that fail.
const std::vector<OpRigKind>& OpRigKinds() {
  static const std::vector<OpRigKind> kKinds = [] {
    std::vector<OpRigKind> kinds;
    if (CountHipDevices().ok() || std::getenv("FORGE_REQUIRE_GPU") != nullptr)
      kinds.push_back({"hip0", CreateHipOpRig, 0});
    return kinds;
  }();
  return kKinds;
}

#endif

}  // namespace forge::testing
