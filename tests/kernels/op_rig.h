#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "kernels/api/op_table.h"
#include "kernels/base/result.h"

namespace forge::testing {

// Where one position of one KV head lies in a cache: dimension d at elements + d * stride elements,
// and its scale, of kQ8_0, at scales + d / 32 * stride.
struct KvPlace {
  const std::byte* elements;
  const uint16_t* scales;
  int64_t stride;
};

// Runs ops of some device on arrays of the host: those of the arguments are the host's, and hold
// the results when Run returns. So the tests of the ops know no device; one joins with a source
// that defines OpRigKinds().
class OpRig {
 public:
  virtual ~OpRig() = default;

  virtual Status Run(const EmbedArgs& args) = 0;
  virtual Status Run(const RmsNormArgs& args) = 0;
  virtual Status Run(const MatmulArgs& args) = 0;
  virtual Status Run(const RopeAppendArgs& args) = 0;
  virtual Status Run(const AttentionArgs& args) = 0;
  virtual Status Run(const GatherRowsArgs& args) = 0;
  virtual Status Run(const JoinColumnsArgs& args) = 0;
  virtual Status Run(const SigmoidGateArgs& args) = 0;
  virtual Status Run(const MultiplyColumnsArgs& args) = 0;
  virtual Status Run(const CausalConvArgs& args) = 0;
  virtual Status Run(const DeltaRuleArgs& args) = 0;
  virtual Status Run(const StateSpaceArgs& args) = 0;
  virtual Status Run(const SoftCapArgs& args) = 0;
  virtual Status Run(const RouteExpertsArgs& args) = 0;
  virtual Status Run(const ExpertMatmulArgs& args) = 0;
  virtual Status Run(const CombineExpertsArgs& args) = 0;
  virtual Status Run(const TopLogitsArgs& args) = 0;

  // As those of Device. `packed` is the host's, 64-byte aligned.
  virtual Result<uint64_t> PackedWeightBytes(const WeightShape& shape) const = 0;
  virtual Status PackRows(const WeightShape& shape, const std::byte* file_rows, void* packed) = 0;
  virtual uint64_t MatmulWorkspaceBytes(int max_tokens, int64_t max_cols) const = 0;
  virtual uint64_t AttentionWorkspaceBytes(int max_tokens, int n_heads, int value_dim) const = 0;
  virtual uint64_t ExpertMatmulWorkspaceBytes(int max_pairs, int64_t max_cols,
                                              int max_experts) const = 0;

  // The device's order of a cache block.
  virtual KvPlace KeyPlace(const KvLayerView& cache, int64_t block, int64_t head,
                           int64_t offset) const = 0;
  virtual KvPlace ValuePlace(const KvLayerView& cache, int64_t block, int64_t head,
                             int64_t offset) const = 0;

  // Whether ops look at what device arrays hold, and refuse what is out of range. A device that
  // cannot gives NaN instead.
  virtual bool refuses_indices() const = 0;
  // Whether ops run on threads of the host, as many as Create was told.
  virtual bool runs_on_threads() const = 0;
  // Steps of up to so many tokens, and all longer ones, give a token the same bits whatever shares
  // the step with it; the former and the latter may differ.
  virtual int max_equal_tokens() const = 0;
  // The same of the pairs of token and expert: so many for each expert, on average.
  virtual int max_equal_pairs() const = 0;
};

// A device under test.
struct OpRigKind {
  std::string name;  // as part of a test's name
  // n_threads is for devices whose ops run on threads of the host.
  std::unique_ptr<OpRig> (*create)(const OpRigKind& kind, int n_threads);
  int variant;  // the device's own

  std::unique_ptr<OpRig> Create(int n_threads = 2) const { return create(*this, n_threads); }
};
inline std::ostream& operator<<(std::ostream& out, const OpRigKind& kind) {
  return out << kind.name;
}

// Every device that this test program runs on.
const std::vector<OpRigKind>& OpRigKinds();

}  // namespace forge::testing
