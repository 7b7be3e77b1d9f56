#include "bench/op_profile.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <utility>

#include "kernels/base/check.h"
#include "kernels/formats/format.h"

namespace forge {
namespace {

std::atomic<OpProfile*> g_profile = nullptr;

// What an op reads and computes, as far as it is counted; the name too where it says more than the
// op's own.
template <typename Args>
void Describe(const Args&, OpRecord&) {}

uint64_t FileBytes(const WeightShape& shape) {
  const FormatInfo* const format = FindFormat(shape.dtype);
  if (format == nullptr) return 0;
  const auto n_elements = static_cast<uint64_t>(shape.n_rows * shape.n_cols);
  return n_elements / format->block_elements * format->block_bytes;
}

// `n_rows` of all matrices together; `n_products`: times that they are multiplied with a vector.
void DescribeProduct(const WeightShape& shape, int64_t n_rows, int64_t n_products,
                     OpRecord& record) {
  const FormatInfo* const format = FindFormat(shape.dtype);
  record.operations = 2 * static_cast<uint64_t>(n_rows * shape.n_cols * n_products);
  record.name += " " + std::string(format == nullptr ? "?" : format->name) + " " +
                 std::to_string(shape.n_cols) + " -> " + std::to_string(n_rows);
}

void Describe(const MatmulArgs& args, OpRecord& record) {
  int64_t n_rows = 0;
  for (int i = 0; i < args.n_targets; ++i) {
    const WeightShape& shape = args.targets[static_cast<size_t>(i)].weight.shape;
    n_rows += shape.n_rows;
    record.bytes += FileBytes(shape);
  }
  DescribeProduct(args.targets[0].weight.shape, n_rows, args.n_tokens, record);
}

// Each expert that is used counts once.
void Describe(const ExpertMatmulArgs& args, OpRecord& record) {
  const int n_pairs = args.n_x_rows * args.pairs_per_row;
  std::vector<bool> is_used(static_cast<size_t>(args.targets[0].weights.n_experts));
  for (int i = 0; i < n_pairs; ++i) is_used[static_cast<size_t>(args.experts[i])] = true;
  const auto n_used = static_cast<uint64_t>(std::count(is_used.begin(), is_used.end(), true));
  int64_t n_rows = 0;
  for (int i = 0; i < args.n_targets; ++i) {
    const WeightShape& shape = args.targets[static_cast<size_t>(i)].weights.first.shape;
    n_rows += shape.n_rows;
    record.bytes += n_used * FileBytes(shape);
  }
  DescribeProduct(args.targets[0].weights.first.shape, n_rows, n_pairs, record);
}

// Keys and values of every sequence once, whatever the number of its tokens in the batch. Looks at
// positions, which a device that this profile fits keeps in host memory.
void Describe(const AttentionArgs& args, OpRecord& record) {
  const RaggedBatch& batch = args.batch;
  const KvLayerView& cache = args.cache;
  uint64_t n_positions = 0;
  for (int s = 0; s < batch.n_sequences; ++s)
    n_positions += static_cast<uint64_t>(batch.positions[batch.first_token[s + 1] - 1]) + 1;
  const auto n_elements =
      static_cast<uint64_t>(cache.n_kv_heads) *
      static_cast<uint64_t>(cache.values_in_keys ? cache.head_dim
                                                 : cache.head_dim + cache.value_dim);
  record.bytes = KvBytes(cache.dtype, n_positions * n_elements);
}

// An op's name as a template argument.
struct OpName {
  char text[24] = {};
  template <size_t kSize>
  consteval OpName(const char (&name)[kSize]) {  // NOLINT(google-explicit-constructor)
    std::copy_n(name, kSize, text);
  }
};

// Calls one op of the wrapped device and counts it.
template <OpName kName, typename Args, Status (*OpTable::*kOp)(const Args&, Stream&)>
Status RunTimed(const Args& args, Stream& stream) {
  OpProfile& profile = *g_profile.load();
  OpRecord record = {.name = kName.text, .n_calls = 1};
  Describe(args, record);
  const auto start = std::chrono::steady_clock::now();
  Status status = (profile.wrapped_ops().*kOp)(args, stream);
  const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
  record.seconds = time.count();
  profile.Add(record);
  return status;
}

OpTable TimeOps(OpTable ops) {
  ops.embed = RunTimed<"embed", EmbedArgs, &OpTable::embed>;
  ops.rms_norm = RunTimed<"rms_norm", RmsNormArgs, &OpTable::rms_norm>;
  ops.matmul = RunTimed<"matmul", MatmulArgs, &OpTable::matmul>;
  ops.rope_append = RunTimed<"rope_append", RopeAppendArgs, &OpTable::rope_append>;
  ops.attention = RunTimed<"attention", AttentionArgs, &OpTable::attention>;
  ops.gather_rows = RunTimed<"gather_rows", GatherRowsArgs, &OpTable::gather_rows>;
  ops.join_columns = RunTimed<"join_columns", JoinColumnsArgs, &OpTable::join_columns>;
  ops.sigmoid_gate = RunTimed<"sigmoid_gate", SigmoidGateArgs, &OpTable::sigmoid_gate>;
  ops.multiply_columns =
      RunTimed<"multiply_columns", MultiplyColumnsArgs, &OpTable::multiply_columns>;
  ops.causal_conv = RunTimed<"causal_conv", CausalConvArgs, &OpTable::causal_conv>;
  ops.delta_rule = RunTimed<"delta_rule", DeltaRuleArgs, &OpTable::delta_rule>;
  ops.state_space = RunTimed<"state_space", StateSpaceArgs, &OpTable::state_space>;
  ops.soft_cap = RunTimed<"soft_cap", SoftCapArgs, &OpTable::soft_cap>;
  ops.route_experts = RunTimed<"route_experts", RouteExpertsArgs, &OpTable::route_experts>;
  ops.expert_matmul = RunTimed<"expert_matmul", ExpertMatmulArgs, &OpTable::expert_matmul>;
  ops.top_logits = RunTimed<"top_logits", TopLogitsArgs, &OpTable::top_logits>;
  ops.combine_experts = RunTimed<"combine_experts", CombineExpertsArgs, &OpTable::combine_experts>;
  return ops;
}

// A device whose ops are timed.
class TimedDevice final : public Device {
 public:
  explicit TimedDevice(std::unique_ptr<Device> device)
      : device_(std::move(device)), ops_(TimeOps(device_->ops())) {}

  const DeviceInfo& info() const override { return device_->info(); }
  const OpTable& ops() const override { return ops_; }
  Result<std::unique_ptr<Stream>> CreateStream() override { return device_->CreateStream(); }
  Result<MemoryReading> ReadMemory() const override { return device_->ReadMemory(); }
  Result<void*> Allocate(uint64_t bytes) override { return device_->Allocate(bytes); }
  void Free(void* data, uint64_t bytes) override { device_->Free(data, bytes); }
  AllocationCount allocation_count() const override { return device_->allocation_count(); }
  Status CopyIn(void* to, const void* from, uint64_t bytes, Stream& stream) override {
    return device_->CopyIn(to, from, bytes, stream);
  }
  Status CopyOut(void* to, const void* from, uint64_t bytes, Stream& stream) override {
    return device_->CopyOut(to, from, bytes, stream);
  }
  Result<uint64_t> PackedWeightBytes(const WeightShape& shape) const override {
    return device_->PackedWeightBytes(shape);
  }
  int64_t pack_row_multiple() const override { return device_->pack_row_multiple(); }
  Status PackRows(const WeightShape& shape, int64_t first_row, int64_t n_rows,
                  const std::byte* file_rows, void* packed, Stream& stream) override {
    return device_->PackRows(shape, first_row, n_rows, file_rows, packed, stream);
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

 private:
  const std::unique_ptr<Device> device_;
  const OpTable ops_;
};

}  // namespace

OpProfile::OpProfile() {
  OpProfile* none = nullptr;
  FORGE_CHECK(g_profile.compare_exchange_strong(none, this), "there is another OpProfile");
}

OpProfile::~OpProfile() { g_profile.store(nullptr); }

std::unique_ptr<Device> OpProfile::Wrap(std::unique_ptr<Device> device) {
  FORGE_CHECK(wrapped_ops_ == nullptr, "a second device");
  wrapped_ops_ = &device->ops();
  return std::make_unique<TimedDevice>(std::move(device));
}

void OpProfile::Reset() {
  const MutexLock lock(mutex_);
  records_.clear();
}

void OpProfile::Add(const OpRecord& call) {
  if (!is_counting_) return;
  const MutexLock lock(mutex_);
  auto found = std::find_if(records_.begin(), records_.end(),
                            [&](const OpRecord& record) { return record.name == call.name; });
  if (found == records_.end()) {
    records_.push_back(call);
    return;
  }
  found->n_calls += call.n_calls;
  found->seconds += call.seconds;
  found->bytes += call.bytes;
  found->operations += call.operations;
}

std::vector<OpRecord> OpProfile::Records() const {
  const MutexLock lock(mutex_);
  std::vector<OpRecord> records = records_;
  std::sort(records.begin(), records.end(),
            [](const OpRecord& a, const OpRecord& b) { return a.seconds > b.seconds; });
  return records;
}

}  // namespace forge
